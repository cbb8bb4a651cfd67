/** Over many seeds, how many went down each rare path. */
import { PATHS } from "./paths.js";

export class Tally {
  readonly #paths: readonly string[];
  readonly #seeds = new Map<string, number>();
  #count = 0;

  constructor(paths: readonly string[] = PATHS) {
    this.#paths = paths;
  }

  add(paths: readonly string[]): void {
    this.#count++;
    for (const path of paths) this.#seeds.set(path, (this.#seeds.get(path) ?? 0) + 1);
  }

  /** Paths that no seed went down. */
  missed(): string[] {
    return this.#paths.filter((path) => !this.#seeds.has(path));
  }

  /** One line a path, with the number and the share of seeds. */
  table(): string {
    return this.#paths
      .map((path) => {
        const seeds = this.#seeds.get(path) ?? 0;
        const share = `${((100 * seeds) / Math.max(1, this.#count)).toFixed(1)} %`;
        return `${String(seeds).padStart(7)} ${share.padStart(8)}  ${path}`;
      })
      .join("\n");
  }
}
