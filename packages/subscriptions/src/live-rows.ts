/**
 * What the clients of one live query have been told: its rows by key, and the last changes, as the text that was sent.
 * Keeping the text makes "has it changed?" a comparison of strings, and it asks exactly what a client could see.
 */
import { assert, type SqlValue, valueToJson } from "@patina/base";

export interface LiveRow {
  /** Small, and the row's own for as long as it stays in the result. */
  readonly rowId: number;
  /** A JSON array. */
  readonly cells: string;
}

export class LiveRows {
  readonly #changesKeptMax: number;
  readonly #rows = new Map<string, LiveRow>();
  #rowIds = 0;
  #changeId = 0;
  /** The lines of the last changes, up to and with `#changeId`. */
  #kept: string[] = [];

  constructor(changesKeptMax: number) {
    assert(changesKeptMax > 0, "at least one change is kept");
    this.#changesKeptMax = changesKeptMax;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** The last change; 0 before the first. */
  get changeId(): number {
    return this.#changeId;
  }

  rows(): LiveRow[] {
    return [...this.#rows.values()];
  }

  keys(): string[] {
    return [...this.#rows.keys()];
  }

  /** A row of the first answer, which is no change. */
  start(key: string, cells: string): void {
    assert(this.#changeId === 0, "rows start before the first change");
    this.#rows.set(key, { rowId: ++this.#rowIds, cells });
  }

  /** The row of a key as it is now. Gives the line to send, or undefined when nobody could see a difference. */
  put(key: string, cells: string): string | undefined {
    const known = this.#rows.get(key);
    if (known?.cells === cells) return undefined;
    const row = { rowId: known?.rowId ?? ++this.#rowIds, cells };
    this.#rows.set(key, row);
    return this.#note(known === undefined ? "insert" : "update", row);
  }

  /** No row has this key any more. The line repeats the cells it had. */
  remove(key: string): string | undefined {
    const known = this.#rows.get(key);
    if (known === undefined) return undefined;
    this.#rows.delete(key);
    return this.#note("delete", known);
  }

  /** The lines of all changes after `changeId`; undefined when they are not all kept, or have not happened. */
  changesAfter(changeId: number): readonly string[] | undefined {
    const missing = this.#changeId - changeId;
    if (missing < 0 || missing > Math.min(this.#kept.length, this.#changesKeptMax)) return undefined;
    return this.#kept.slice(this.#kept.length - missing);
  }

  #note(kind: "insert" | "update" | "delete", { rowId, cells }: LiveRow): string {
    const line = `{"change":["${kind}",${rowId},${cells},${++this.#changeId}]}\n`;
    this.#kept.push(line);
    if (this.#kept.length > 2 * this.#changesKeptMax) this.#kept = this.#kept.slice(-this.#changesKeptMax);
    return line;
  }
}

export function liveRowLine({ rowId, cells }: LiveRow): string {
  return `{"row":[${rowId},${cells}]}\n`;
}

export function cellsText(cells: readonly SqlValue[]): string {
  return JSON.stringify(cells.map(valueToJson));
}

/** Values as a text that only equal values, of equal types, share. */
export function keyText(values: readonly SqlValue[]): string {
  let text = "";
  for (const value of values) {
    if (value === null) text += "n;";
    else if (typeof value === "string") text += `t${value.length}:${value}`;
    else if (typeof value === "bigint") text += `i${value};`;
    else if (typeof value === "number") text += `r${value};`;
    else text += `b${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")};`;
  }
  return text;
}
