/**
 * What planning takes from the regions, all but the ages, which move with the clock. While the outlook is the same, an app
 * with the same routes is planned the same: so what was made of a plan may stand until one of the two changes.
 */
import type { Now } from "@patina/base";
import type { RouterConfig } from "./config.js";
import { gradeOf } from "./grade.js";
import { rttRank } from "./near.js";
import { isPartial, type RouterView } from "./plan.js";

export class Outlook {
  readonly #facts: unknown[] = [];
  #at = 0;
  #isSame = true;
  #edition = 0;

  /** Another number whenever anything is not what it was at the last call. `more` is compared with the rest, by identity. */
  edition(view: RouterView, now: Now, config: RouterConfig, more: readonly unknown[]): number {
    this.#at = 0;
    this.#isSame = true;
    this.#see(view.complete);
    for (const [region, state] of view.regions) {
      this.#see(state);
      this.#see(gradeOf(state, now, config).grade);
      this.#see(isPartial(view, region));
      this.#see(rttRank(view.rttMs?.(region)));
    }
    for (const region of view.expected ?? []) this.#see(region);
    for (const fact of more) this.#see(fact);
    if (this.#isSame && this.#at === this.#facts.length) return this.#edition;
    this.#facts.length = this.#at;
    return ++this.#edition;
  }

  #see(fact: unknown): void {
    if (this.#facts[this.#at] !== fact) {
      this.#isSame = false;
      this.#facts[this.#at] = fact;
    }
    this.#at++;
  }
}
