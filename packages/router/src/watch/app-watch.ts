/**
 * One app as it is watched: its regions, each as last heard of, and what changed last, so that a watcher who was away can go
 * on where it stopped. A token names a place in this one history; one of another router's, or of a past that is forgotten,
 * starts over, and is told so.
 */
import { assert } from "@patina/base";
import type { PlacedRegion } from "../merge.js";

/** What a watcher is sent, one at a time. */
export type WatchEvent =
  /** Everything, at the start and whenever the history has a gap. */
  | { readonly snapshot: { readonly app: string; readonly regions: readonly PlacedRegion[] }; readonly token: string }
  /** This region is so now. */
  | { readonly region: PlacedRegion; readonly token: string }
  /** This region has the app no more. */
  | { readonly gone: string; readonly token: string }
  /** The watcher was too slow, and this many changes are left out; a snapshot follows. */
  | { readonly lagged: number }
  /** The token is not of this history; a snapshot follows. */
  | { readonly reset: string };

export interface WatchConfig {
  /** Changes kept for those who come back. */
  readonly historyMax: number;
  /** Changes that wait for one slow watcher; then it lags. */
  readonly queueMax: number;
}

export const defaultWatchConfig: WatchConfig = { historyMax: 128, queueMax: 256 };

type Change = Extract<WatchEvent, { region: PlacedRegion } | { gone: string }>;

export class AppWatch {
  readonly app: string;
  readonly #epoch: string;
  readonly #historyMax: number;
  readonly #regions = new Map<string, PlacedRegion>();
  readonly #history: Change[] = [];
  #changes = 0;

  /** `epoch` tells this history from every other. */
  constructor(app: string, epoch: string, { historyMax }: WatchConfig) {
    assert(historyMax >= 1, "some history is kept");
    this.app = app;
    this.#epoch = epoch;
    this.#historyMax = historyMax;
  }

  regions(): readonly string[] {
    return [...this.#regions.keys()];
  }

  /** How the region is now; undefined when it has the app no more. Nothing comes of what is as it was. */
  set(region: string, now: PlacedRegion | undefined): Change | undefined {
    const before = this.#regions.get(region);
    if (isSame(before, now)) return undefined;
    this.#changes++;
    if (now === undefined) this.#regions.delete(region);
    else this.#regions.set(region, now);
    const change = now === undefined ? { gone: region, token: this.#token() } : { region: now, token: this.#token() };
    this.#history.push(change);
    if (this.#history.length > this.#historyMax) this.#history.shift();
    return change;
  }

  snapshot(): WatchEvent {
    const regions = [...this.#regions.values()].sort((a, b) => (a.region < b.region ? -1 : 1));
    return { snapshot: { app: this.app, regions }, token: this.#token() };
  }

  /** What a watcher needs who has seen everything up to `token`, or has seen nothing. */
  since(token: string | undefined): readonly WatchEvent[] {
    if (token === undefined) return [this.snapshot()];
    const [epoch, number] = token.split("-");
    const seen = Number(number);
    const missed = this.#changes - seen;
    if (epoch !== this.#epoch || !Number.isSafeInteger(seen) || missed < 0) {
      return [{ reset: "the token is of another router, or of a watch that has ended" }, this.snapshot()];
    }
    if (missed > this.#history.length) return [{ lagged: missed }, this.snapshot()];
    return missed === 0 ? [] : this.#history.slice(-missed);
  }

  #token(): string {
    return `${this.#epoch}-${this.#changes}`;
  }
}

/** Ages grow all the time, and alone are no news. */
function isSame(a: PlacedRegion | undefined, b: PlacedRegion | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return JSON.stringify({ ...a, ageMs: 0 }) === JSON.stringify({ ...b, ageMs: 0 });
}
