/** Drives the border: feeds it the region's changes, keeps its timers, and carries out what it decides. Decides nothing itself. */
import { rendezvous, unreachable } from "@patina/base";
import type { Sign } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { systemNow } from "@patina/runtime";
import { signRequest, SigningClock } from "@patina/security";
import { Border, type BorderCounts, type BorderEffect, type BorderInput, defaultBorderConfig } from "@patina/summary";
import type { PlacementClass } from "./detail.js";
import { GlobalClient } from "./global-client.js";
import { Replaced } from "./replaced.js";
import { StoreView } from "./store-view.js";
import { BORDER } from "./tier.js";

export interface BorderDriverOptions {
  readonly process: AgentProcess;
  readonly globalApis: readonly string[];
  readonly holdDownMs: number;
  /** Where the region is, for callers who want the nearest. */
  readonly location: { readonly lat: number; readonly lon: number } | undefined;
}

export class BorderDriver {
  readonly #process: AgentProcess;
  readonly #border: Border;
  readonly #globals: GlobalClient;
  readonly #replaced = new Replaced();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;
  #doubts = 0;

  constructor({ process, globalApis, holdDownMs, location }: BorderDriverOptions) {
    const { name: region, generation } = process.store.cluster;
    this.#process = process;
    // Every region has its own order of preference, so that the load spreads; all its borders share it.
    const apis = rendezvous(region, globalApis);
    this.#globals = new GlobalClient({ apis, region, generation, location, sign: signer(process) });
    const summary = { ...defaultBorderConfig.summary, holdDownMs };
    const config = { ...defaultBorderConfig, summary };
    this.#border = new Border({ view: new StoreView(process), generation, globals: apis.length, config });
  }

  /** Since the start; `doubts`: rows that routers found doubtful. */
  get counts(): BorderCounts & { readonly doubts: number; readonly isPublishing: boolean } {
    return { ...this.#border.counts, doubts: this.#doubts, isPublishing: this.#border.isPublishing };
  }

  /** What this border's summary says of the app, told or not: undefined for one it does not have. */
  advertised(app: string): PlacementClass | undefined {
    return this.#border.advertised().get(app);
  }

  /** What a router found wrong with this region's rows. True when this border is the one to repair it. */
  onDoubts(rows: readonly { readonly app: string | null; readonly reason: string }[]): boolean {
    this.#doubts += rows.length;
    const [first] = rows;
    if (first === undefined || !this.#border.isPublishing) return false;
    this.#process.log.warn({ rows: rows.length, first }, "a router doubts rows of this region");
    this.#step({ kind: "doubts", apps: rows.map(({ app }) => app) });
    return true;
  }

  start(): void {
    this.#process.runtime.onEvent((event) => {
      if (event.kind !== "changed" || this.#isStopped) return;
      const apps = event.rows.flatMap(({ app, appBefore }) => [app ?? [], appBefore ?? []].flat());
      if (apps.length > 0) this.#step({ kind: "touched", apps });
    });
    this.#step({ kind: "start" });
    this.#lookOn();
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #step(input: BorderInput): void {
    if (this.#isStopped) return;
    for (const effect of this.#border.handle(input, systemNow())) this.#perform(effect);
  }

  /** As many looks as fit into a moment. */
  #lookOn(): void {
    const until = systemNow().monotonicMs + BORDER.lookMs;
    while (this.#border.touchedCount > 0 && systemNow().monotonicMs < until) this.#step({ kind: "look" });
  }

  #perform(effect: BorderEffect): void {
    const { log } = this.#process;
    switch (effect.kind) {
      case "send":
        return this.#answered(
          () => this.#globals.publish(effect.to, effect.rows),
          () => ({ kind: "sent" }),
          { kind: "send-failed" },
          "summary rows could not be published yet",
        );
      case "heartbeat":
        return this.#answered(
          () => this.#globals.heartbeat(effect.to, effect.beat),
          () => undefined,
          { kind: "heartbeat-failed", to: effect.to },
          "the heartbeat did not arrive",
        );
      case "read-index":
        return this.#answered(
          () => this.#globals.readIndex(effect.to),
          (rows) => ({ kind: "index", rows }),
          { kind: "index-failed" },
          "the index could not be audited",
        );
      case "read-standing":
        return this.#answered(
          () => this.#globals.readStanding(effect.to),
          (standing) => ({ kind: "standing", standing }),
          { kind: "standing-failed", to: effect.to },
          "what the global tier knows of the region could not be read",
        );
      case "wake":
        return this.#after(effect.afterMs, () => {
          this.#step({ kind: "wake", timer: effect.timer });
          if (effect.timer.kind === "look") this.#lookOn();
        });
      case "role":
        log.info(effect, effect.publishing ? "this agent publishes for its region" : "another agent publishes");
        return;
      case "held":
        log.error({ apps: effect.apps, of: effect.of }, "withdrawals are held: too many at once");
        return;
      case "repair":
        log.warn({ missing: effect.missing, ghosts: effect.ghosts }, "the index was repaired");
        return;
      case "refused":
        log.error({ app: effect.app }, "too many apps to advertise");
        return;
      default:
        return unreachable(effect);
    }
  }

  /** What came of a request goes back to the border as an input. One of a region that was replaced is not made. */
  #answered<T>(
    request: () => Promise<T>,
    onAnswer: (answer: T) => BorderInput | undefined,
    onFailure: BorderInput,
    complaint: string,
  ): void {
    const failed = (thrown: unknown): BorderInput => {
      if (!this.#isStopped) this.#complain(thrown, complaint);
      return onFailure;
    };
    const isHeld = this.#replaced.isHeld(systemNow().monotonicMs);
    void (isHeld ? Promise.resolve(onFailure) : request().then(onAnswer, failed)).then((input) => {
      if (input !== undefined) this.#step(input);
    });
  }

  #complain(thrown: unknown, complaint: string): void {
    const { log } = this.#process;
    const verdict = this.#replaced.onFailed(thrown, systemNow().monotonicMs);
    if (verdict === "other") log.warn({ err: thrown }, complaint);
    if (verdict === "replaced")
      log.error({ err: thrown }, "this region was replaced: nothing of this agent is published");
  }

  #after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Proves to the global tier which region this is, with the member's certificate of the moment. */
function signer(process: AgentProcess): Sign {
  const clock = new SigningClock();
  return async (request) => {
    const { credentials } = process;
    return credentials === undefined ? undefined : signRequest(credentials, request, clock.tick(systemNow().wallMs));
  };
}
