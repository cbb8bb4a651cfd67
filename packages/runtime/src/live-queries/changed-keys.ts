/**
 * Keys that changed and have not been looked at yet: each once, per table, bounded. A table with more of them than the
 * bound keeps none and is marked overflown: its queries are then run again as a whole, which is never wrong.
 */
import { assert, type SqlValue } from "@patina/base";
import { keyText, type TableKeys } from "@patina/subscriptions";

type Keys = Map<string, readonly SqlValue[]>;

export class ChangedKeys {
  readonly #keysMax: number;
  readonly #tables = new Map<string, Keys>();
  readonly #overflown = new Set<string>();

  /** `keysMax` is per table. */
  constructor(keysMax: number) {
    assert(keysMax > 0, "keysMax must be positive");
    this.#keysMax = keysMax;
  }

  get isEmpty(): boolean {
    return this.#tables.size === 0 && this.#overflown.size === 0;
  }

  add(table: string, key: readonly SqlValue[]): void {
    if (this.#overflown.has(table)) return;
    let keys = this.#tables.get(table);
    if (keys === undefined) this.#tables.set(table, (keys = new Map<string, readonly SqlValue[]>()));
    keys.set(keyText(key), key);
    if (keys.size <= this.#keysMax) return;
    this.#tables.delete(table);
    this.#overflown.add(table);
  }

  /** Up to `max` keys, oldest first. They are not here any more. */
  take(max: number): TableKeys[] {
    const taken: TableKeys[] = [];
    let left = max;
    for (const [table, keys] of this.#tables) {
      const some: (readonly SqlValue[])[] = [];
      for (const [text, key] of keys) {
        if (some.length === left) break;
        some.push(key);
        keys.delete(text);
      }
      if (keys.size === 0) this.#tables.delete(table);
      taken.push({ table, keys: some });
      left -= some.length;
      if (left === 0) break;
    }
    return taken;
  }

  /** The tables whose keys were too many. They start anew from here. */
  takeOverflown(): string[] {
    const tables = [...this.#overflown];
    this.#overflown.clear();
    return tables;
  }

  clear(): void {
    this.#tables.clear();
    this.#overflown.clear();
  }
}
