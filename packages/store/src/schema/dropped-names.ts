/**
 * Tables and columns that a schema version has dropped for good: changes that still speak of them are taken without. A name may
 * be used again. What is stamped before the version that brought it back is still of the one that was dropped.
 */
import type { Hlc } from "@patina/base";
import {
  decodeState,
  encodeState,
  type DecodedState,
  NO_TABLE,
  type RowChange,
  type Shape,
} from "../rows/row-codec.js";
import type { GoneNames } from "./schema-history.js";

/** `table` or `table.column`. */
export function splitName(name: string): [table: string, column: string | undefined] {
  const dot = name.indexOf(".");
  return dot === -1 ? [name, undefined] : [name.slice(0, dot), name.slice(dot + 1)];
}

/** What a change may still say of what was dropped: nothing of a table, all but these columns. */
export class DroppedNames {
  /** By table, up to which stamp its rows are of one that was dropped: all of them, unless the name is in use again. */
  readonly #tables = new Map<string, Hlc>();
  /** By table and column, up to which stamp a row's value is. */
  readonly #columns = new Map<string, Map<string, Hlc>>();

  constructor({ dropped, reused }: GoneNames) {
    for (const name of dropped) this.#add(name, ALL);
    for (const { name, since } of reused) this.#add(name, since);
  }

  #add(name: string, before: Hlc): void {
    const [table, column] = splitName(name);
    if (column === undefined) this.#tables.set(table, before);
    else this.#columns.set(table, (this.#columns.get(table) ?? new Map<string, Hlc>()).set(column, before));
  }

  /** Is a row of that stamp of a table that was dropped? */
  hasRow(table: string, hlc: Hlc): boolean {
    const before = this.#tables.get(table);
    return before !== undefined && hlc < before;
  }

  /** Is the value, in a row of that stamp, of a column that was dropped? */
  hasValue(table: string, column: string, hlc: Hlc): boolean {
    const before = this.#columns.get(table)?.get(column);
    return before !== undefined && hlc < before;
  }

  /** A state without what was dropped of it, decoded and as bytes; as it came when that is nothing, or it is none. */
  strip({ table, hlc, state }: RowChange, shape: Shape, decoded: DecodedState | undefined): Stripped {
    if (decoded === undefined || !this.#columns.has(table)) return { decoded, state };
    const values = shape.values.map(({ name, defaultValue }, i) => {
      return this.hasValue(table, name, hlc) ? defaultValue : (decoded.values[i] ?? null);
    });
    const extras = decoded.extras.filter(([name]) => !this.hasValue(table, name, hlc));
    return { decoded: { values, extras }, state: encodeState(shape, values, extras) };
  }
}

/** After every stamp there is. */
const ALL = 1n << 64n;

/** The state of a row whose table is not here, without these columns. */
export function stateWithout(state: Uint8Array, columns: readonly string[]): Uint8Array {
  const { extras } = decodeState(NO_TABLE, state, state.length);
  return encodeState(NO_TABLE, [], extras.filter(([name]) => !columns.includes(name))); // prettier-ignore
}

interface Stripped {
  readonly decoded: DecodedState | undefined;
  readonly state: Uint8Array | undefined;
}
