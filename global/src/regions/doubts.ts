/**
 * Tells a region what is wrong with what the index has of it: a route that it denies, or a row that makes no sense. Its
 * border then compares the two and repairs. A hint and no more: what is lost, the border's own audit finds.
 */
import { PatinaClient } from "@patina/api";
import { messageOf } from "@patina/base";
import type { Logger } from "@patina/telemetry";

export interface Doubt {
  readonly region: string;
  /** The app whose row it is; none for the region's own. */
  readonly app?: string;
  readonly reason: string;
}

/** Gathered for so long, so that a storm of denials is one message. */
const GATHER_MS = 250;
/** Doubts of one region in one message; more are dropped. */
const PER_REGION_MAX = 1000;
const TIMEOUT_MS = 2000;

export class Doubts {
  readonly #apisOf: (region: string) => readonly string[];
  readonly #log: Logger;
  readonly #waiting = new Map<string, Map<string, Doubt>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(apisOf: (region: string) => readonly string[], log: Logger) {
    this.#apisOf = apisOf;
    this.#log = log;
  }

  tell(doubt: Doubt): void {
    const ofRegion = this.#waiting.get(doubt.region) ?? new Map<string, Doubt>();
    if (ofRegion.size < PER_REGION_MAX) ofRegion.set(doubt.app ?? "", doubt);
    this.#waiting.set(doubt.region, ofRegion);
    this.#timer ??= setTimeout(() => void this.#send(), GATHER_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  async #send(): Promise<void> {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#timer = undefined;
    await Promise.all(waiting.map(async ([region, doubts]) => this.#sendTo(region, [...doubts.values()])));
  }

  /** The first of a region's agents is the border that publishes. */
  async #sendTo(region: string, doubts: readonly Doubt[]): Promise<void> {
    const [border] = this.#apisOf(region);
    if (border === undefined) return;
    const rows = doubts.map(({ app, reason }) => ({ app: app ?? null, reason }));
    try {
      await new PatinaClient(border, { timeoutMs: TIMEOUT_MS }).request("/v1/border/doubts", {
        method: "POST",
        body: { rows },
      });
    } catch (thrown) {
      this.#log.debug({ region, reason: messageOf(thrown) }, "a region was not told of its doubtful rows");
    }
  }
}
