/** Versions this member has passed on as a relay, the last so many: none is passed on twice. */
import type { Change } from "@patina/base";

export class Relayed {
  readonly #max: number;
  readonly #seen = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Those not passed on before; from now on they were. */
  takeNew(changes: readonly Change[]): Change[] {
    return changes.filter(({ origin, version }) => {
      const id = `${origin}:${version}`;
      if (this.#seen.has(id)) return false;
      this.#seen.add(id);
      if (this.#seen.size > this.#max) for (const oldest of this.#seen) return this.#seen.delete(oldest);
      return true;
    });
  }
}
