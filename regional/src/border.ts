/**
 * The border: what this region tells the global tier. Every agent runs one and derives the same rows from the same
 * detail; the one that comes first in rendezvous order publishes, and the next takes over when it is gone. `summary`
 * decides what is a transition; this drives it with the region's changes and carries its rows out.
 */
import { type Hlc, hlcToMs, rendezvous } from "@patina/base";
import { PatinaClient, type Sign } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { systemNow } from "@patina/runtime";
import { signRequest } from "@patina/security";
import { defaultSummaryConfig, Summary, type SummaryEffect, type SummaryInput } from "@patina/summary";
import { Detail, type PlacementClass } from "./detail.js";
import { Publisher } from "./publisher.js";
import { BORDER } from "./tier.js";

export interface BorderOptions {
  readonly process: AgentProcess;
  readonly globalApis: readonly string[];
  readonly holdDownMs: number;
  /** Where the region is, for callers who want the nearest. */
  readonly location: { readonly lat: number; readonly lon: number } | undefined;
}

export class Border {
  readonly #process: AgentProcess;
  readonly #detail: Detail;
  readonly #summary: Summary;
  readonly #publisher: Publisher;
  readonly #location: BorderOptions["location"];
  readonly #dirty = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isGathering = false;
  #isPublishing = false;
  #isLoaded = false;
  #isAuditDue = false;
  #isStopped = false;
  #doubts = 0;
  #auditedMs = -Infinity;

  constructor({ process, globalApis, holdDownMs, location }: BorderOptions) {
    this.#process = process;
    this.#location = location;
    this.#detail = new Detail(process.store);
    this.#summary = new Summary({ ...defaultSummaryConfig, holdDownMs });
    // Every region has its own order of preference, so that the load spreads; all its borders share it.
    const apis = rendezvous(this.#region, globalApis);
    this.#publisher = new Publisher({
      clients: apis.map((api) => new PatinaClient(api, { timeoutMs: 2000, sign: signer(process) })),
      region: this.#region,
      generation: process.store.cluster.generation,
      log: process.log,
    });
  }

  /** Since the start: transitions of the region's rows, rows sent, and rows that routers found doubtful. */
  get counts(): Readonly<Record<"transitions" | "published" | "doubts", number>> & { readonly isPublishing: boolean } {
    const { transitions } = this.#summary.counts;
    const { rowsSent: published } = this.#publisher;
    return { transitions, published, doubts: this.#doubts, isPublishing: this.#isPublishing };
  }

  /** What this border's summary says of the app, told or not: undefined for one it does not have. */
  advertised(app: string): PlacementClass | undefined {
    return this.#summary.published().get(app);
  }

  /** What a router found wrong with this region's rows. The next audit repairs it, and comes soon. */
  onDoubts(rows: readonly { readonly app: string | null; readonly reason: string }[]): boolean {
    this.#doubts += rows.length;
    const [first] = rows;
    if (first === undefined || !this.#isPublishing) return false;
    this.#process.log.warn({ rows: rows.length, first }, "a router doubts rows of this region");
    if (rows.some(({ app }) => app === null)) this.#heartbeat();
    const sinceMs = systemNow().monotonicMs - this.#auditedMs;
    this.#auditAfter(Math.max(BORDER.auditRetryMs, BORDER.doubtAuditMs - sinceMs));
    return true;
  }

  start(): void {
    this.#process.runtime.onEvent((event) => {
      if (event.kind !== "changed") return;
      for (const { app, appBefore } of event.rows) {
        if (app !== undefined) this.#dirty.add(app);
        if (appBefore !== undefined) this.#dirty.add(appBefore);
      }
      this.#gather();
    });
    for (const { app } of this.#detail.apps()) this.#dirty.add(app);
    this.#look();
    this.#every(1000, () => this.#reviewRole());
    this.#every(BORDER.heartbeatMs, () => this.#heartbeat());
    this.#every(BORDER.auditMs, () => this.#audit());
  }

  stop(): void {
    this.#isStopped = true;
    this.#publisher.stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  get #region(): string {
    return this.#process.store.cluster.name;
  }

  #gather(afterMs: number = BORDER.gatherMs): void {
    if (this.#isGathering || this.#isStopped) return;
    this.#isGathering = true;
    this.#after(afterMs, () => this.#look());
  }

  /** Asks the view about some of the apps that were touched. */
  #look(): void {
    this.#isGathering = false;
    const until = systemNow().monotonicMs + BORDER.lookMs;
    for (const app of this.#dirty) {
      if (systemNow().monotonicMs > until) break;
      this.#dirty.delete(app);
      const now = this.#detail.app(app)?.class;
      if (now === undefined || now !== this.#summary.classOf(app)) this.#observe(app, now);
    }
    if (this.#dirty.size > 0) this.#gather(BORDER.lookAgainMs);
    else this.#isLoaded = true;
  }

  #observe(app: string, cls: PlacementClass | undefined): void {
    this.#step({ kind: "observed", app, class: cls, highWater: this.#detail.highWater(app) });
  }

  #step(input: SummaryInput): void {
    for (const effect of this.#summary.handle(input, systemNow())) this.#perform(effect);
  }

  #perform(effect: SummaryEffect): void {
    switch (effect.kind) {
      case "publish":
        return this.#publisher.offer({ app: effect.app, class: effect.class, highWater: effect.highWater });
      case "withdraw":
        return this.#publisher.offer({ app: effect.app, class: undefined, highWater: effect.highWater });
      case "wake":
        return this.#after(effect.afterMs, () => this.#step({ kind: "wake", timer: effect.timer }));
      case "held":
        this.#process.log.error({ apps: effect.apps, of: effect.of }, "withdrawals are held: too many at once");
        return;
      case "repair":
        if (effect.missing + effect.ghosts === 0) return;
        this.#process.log.warn({ missing: effect.missing, ghosts: effect.ghosts }, "the index was repaired");
        return;
      case "refused":
        this.#process.log.error({ app: effect.app }, "too many apps to advertise");
    }
  }

  /** First among the living publishes, once it knows as much as its peers: to an empty view every row is a ghost. */
  #reviewRole(): void {
    const { runtime } = this.#process;
    const alive = runtime.members().filter(({ state }) => state === "alive" || state === "suspect");
    const [first] = rendezvous("border", [this.#process.nodeId, ...alive.map(({ nodeId }) => nodeId)]);
    const isReady = this.#isLoaded && runtime.agent.hasSynced && this.#detail.hasView;
    const publishing = isReady && first === this.#process.nodeId;
    if (publishing === this.#isPublishing) return;
    this.#isPublishing = publishing;
    this.#process.log.info(
      { publishing },
      publishing ? "this agent publishes for its region" : "another agent publishes",
    );
    this.#step({ kind: "role", publishing });
    if (!publishing) return;
    this.#heartbeat();
    this.#audit();
  }

  #heartbeat(): void {
    if (!this.#isPublishing) return;
    const { runtime, store, apiUrl } = this.#process;
    const alive = runtime.members().filter(({ state }) => state === "alive");
    this.#publisher.heartbeat({
      high_water: String(store.highWater()),
      apis: [apiUrl, ...alive.map(({ meta }) => meta.api)].slice(0, BORDER.apisMax),
      agents: alive.length + 1,
      apps: this.#summary.published().size,
      location: this.#location ?? null,
    });
  }

  /**
   * Compares what the world believes of this region with what is true, and repairs both ways. One that cannot be made now,
   * since rows are under way or nobody answers, is made again soon: it may be the first since this agent publishes, and
   * what was seen before that is told by it alone.
   */
  #audit(): void {
    if (!this.#isPublishing) return;
    this.#auditedMs = systemNow().monotonicMs;
    this.#publisher
      .readIndex()
      .catch((thrown: unknown) => {
        this.#process.log.warn({ err: thrown }, "the index could not be audited");
        return "unreachable" as const;
      })
      .then((rows) => {
        if (this.#isStopped || !this.#isPublishing) return;
        if (rows === "unreachable") return this.#auditAfter(BORDER.retryMaxMs);
        if (rows === undefined) return this.#auditAfter(BORDER.auditRetryMs);
        const withDetail = rows.map((row) => ({ ...row, detailHighWater: this.#heardOf(row.app, row.highWater) }));
        this.#step({ kind: "index", rows: withDetail });
      })
      .catch((thrown: unknown) => this.#process.log.error({ err: thrown }, "the audit failed"));
  }

  /**
   * How new this border's detail of the app is: as its rows are stamped. But when the region has gone on for a while since
   * the index row, and this border is not cut off from any of it, then there is nothing more to hear, and the row is wrong.
   */
  #heardOf(app: string, rowHighWater: Hlc): Hlc {
    const detailHighWater = this.#detail.highWater(app);
    if (detailHighWater > rowHighWater) return detailHighWater;
    const isOld = hlcToMs(rowHighWater) + BORDER.settledMs < hlcToMs(this.#process.store.highWater());
    return isOld && this.#hasEverything() ? rowHighWater + 1n : detailHighWater;
  }

  /** No version is known to be missing, and no member is out of reach, who might know of more. */
  #hasEverything(): boolean {
    const { store, runtime } = this.#process;
    const isWhole = [...store.holdings().values()].every(({ gaps }) => gaps.size === 0);
    return isWhole && runtime.members().every(({ state }) => state === "alive" || state === "left");
  }

  #auditAfter(delayMs: number): void {
    if (this.#isAuditDue) return;
    this.#isAuditDue = true;
    this.#after(delayMs, () => {
      this.#isAuditDue = false;
      this.#audit();
    });
  }

  #every(periodMs: number, work: () => void): void {
    this.#after(periodMs, () => {
      work();
      this.#every(periodMs, work);
    });
  }

  #after(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isStopped) work();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Proves to the global tier which region this is, with the member's certificate of the moment. */
function signer(process: AgentProcess): Sign {
  return async (request) => {
    const { credentials } = process;
    return credentials === undefined ? undefined : signRequest(credentials, request, systemNow().wallMs);
  };
}
