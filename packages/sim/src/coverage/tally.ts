/** Over many seeds, how many went down each rare path. */
import { PATHS, type PathName } from "./paths.js";

export class Tally {
  readonly #seeds = new Map<PathName, number>();
  #count = 0;

  add(paths: readonly PathName[]): void {
    this.#count++;
    for (const path of paths) this.#seeds.set(path, (this.#seeds.get(path) ?? 0) + 1);
  }

  /** Paths that no seed went down. */
  missed(): PathName[] {
    return PATHS.filter((path) => !this.#seeds.has(path));
  }

  /** One line a path, with the number and the share of seeds. */
  table(): string {
    return PATHS.map((path) => {
      const seeds = this.#seeds.get(path) ?? 0;
      const share = `${((100 * seeds) / Math.max(1, this.#count)).toFixed(1)} %`;
      return `${String(seeds).padStart(7)} ${share.padStart(8)}  ${path}`;
    }).join("\n");
  }
}
