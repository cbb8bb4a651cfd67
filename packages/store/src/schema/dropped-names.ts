/** Tables and columns that a schema version has dropped for good: changes that still speak of them are taken without. */
import { decodeState, encodeState, type DecodedState, NO_TABLE, type Shape } from "../rows/row-codec.js";

/** `table` or `table.column`. */
export function splitName(name: string): [table: string, column: string | undefined] {
  const dot = name.indexOf(".");
  return dot === -1 ? [name, undefined] : [name.slice(0, dot), name.slice(dot + 1)];
}

/** What a change may still say of what was dropped: nothing of a table, all but these columns. */
export class DroppedNames {
  readonly #tables = new Set<string>();
  readonly #columns = new Map<string, Set<string>>();

  constructor(dropped: readonly string[]) {
    for (const name of dropped) {
      const [table, column] = splitName(name);
      if (column === undefined) this.#tables.add(table);
      else this.#columns.set(table, (this.#columns.get(table) ?? new Set()).add(column));
    }
  }

  hasTable(table: string): boolean {
    return this.#tables.has(table);
  }

  /** A state without what was dropped of it, decoded and as bytes; as it came when that is nothing, or it is none. */
  strip(name: string, shape: Shape, decoded: DecodedState | undefined, state: Uint8Array | undefined): Stripped {
    const gone = this.#columns.get(name);
    if (gone === undefined || decoded === undefined) return { decoded, state };
    const values = shape.values.map((column, i) => {
      return gone.has(column.name) ? column.defaultValue : (decoded.values[i] ?? null);
    });
    const extras = decoded.extras.filter(([column]) => !gone.has(column));
    return { decoded: { values, extras }, state: encodeState(shape, values, extras) };
  }
}

/** The state of a row whose table is not here, without these columns. */
export function stateWithout(state: Uint8Array, columns: readonly string[]): Uint8Array {
  const { extras } = decodeState(NO_TABLE, state, state.length);
  return encodeState(NO_TABLE, [], extras.filter(([name]) => !columns.includes(name))); // prettier-ignore
}

interface Stripped {
  readonly decoded: DecodedState | undefined;
  readonly state: Uint8Array | undefined;
}
