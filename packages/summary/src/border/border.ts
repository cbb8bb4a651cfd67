/**
 * The border: what a region tells the global tier, and who tells it. Every agent of the region runs one and derives the same
 * rows from the same detail; the one that comes first in rendezvous order publishes, and the next takes over when it is gone,
 * or is not heard of at the global tier (`stand-in.ts`).
 *
 *   changes ──► touched apps ──look──► Summary ──transitions──► Outbox ──► a global agent
 *   the index, as a global agent has it ──audit──► Summary ──repairs──────┘
 *
 * It is pure: the driver performs the effects and tells what came of them.
 */
import { type Hlc, hlcToMs, type Now, rendezvous, unreachable } from "@patina/base";
import {
  type PlacementClass,
  Summary,
  type SummaryCounts,
  type SummaryEffect,
  type SummaryInput,
  type SummaryTimer,
} from "../summary.js";
import { type BorderConfig, checkBorderConfig } from "./config.js";
import { Outbox, type OutboxEffect } from "./outbox.js";
import type { RegionView } from "./region-view.js";
import { seesHalf, StandIn, type Standing } from "./stand-in.js";

export interface IndexedRow {
  readonly app: string;
  /** Undefined for a row that was withdrawn. */
  readonly class: PlacementClass | undefined;
  readonly generation: number;
  readonly highWater: Hlc;
}

export interface Heartbeat {
  readonly highWater: Hlc;
  /** Where to ask the region, this agent first. */
  readonly apis: readonly string[];
  readonly agents: number;
  readonly apps: number;
}

export type BorderTimer =
  | { readonly kind: "look" | "role" | "heartbeat" | "audit" | "audit-again" | "retry" }
  | { readonly kind: "summary"; readonly timer: SummaryTimer };

export type BorderInput =
  | { readonly kind: "start" }
  /** Rows of these apps have changed in the region's detail. */
  | { readonly kind: "touched"; readonly apps: readonly string[] }
  /** Some of the touched apps are looked at now. A driver with time to spare may give it again and again. */
  | { readonly kind: "look" }
  | { readonly kind: "wake"; readonly timer: BorderTimer }
  | { readonly kind: "sent" }
  | { readonly kind: "send-failed" }
  /** What the global tier holds for this region, as asked for. */
  | { readonly kind: "index"; readonly rows: readonly IndexedRow[] }
  | { readonly kind: "index-failed" }
  | { readonly kind: "heartbeat-failed"; readonly to: number }
  /** What the global tier last heard of the region, as asked for; undefined: nothing yet. */
  | { readonly kind: "standing"; readonly standing: Standing | undefined }
  | { readonly kind: "standing-failed"; readonly to: number }
  /** A router found these rows of the region untrue or senseless; null is the region's own row. */
  | { readonly kind: "doubts"; readonly apps: readonly (string | null)[] }
  /** An operator says that the withdrawals which the brake holds are true. */
  | { readonly kind: "confirm-withdrawals" };

/** `to` is the number of a global agent. */
export type BorderEffect =
  /** To be answered by `sent` or `send-failed`. */
  | Extract<OutboxEffect, { kind: "send" }>
  /** To be answered by `heartbeat-failed`, or not at all: the next one is never far. */
  | { readonly kind: "heartbeat"; readonly to: number; readonly beat: Heartbeat }
  /** To be answered by `index` or `index-failed`. */
  | { readonly kind: "read-index"; readonly to: number }
  /** To be answered by `standing` or `standing-failed`. */
  | { readonly kind: "read-standing"; readonly to: number }
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: BorderTimer }
  | { readonly kind: "role"; readonly publishing: boolean }
  | Extract<SummaryEffect, { kind: "held" | "repair" | "refused" }>;

export interface BorderOptions {
  readonly view: RegionView;
  readonly generation: number;
  /** How many global agents there are; with none the region stands alone. */
  readonly globals: number;
  readonly config: BorderConfig;
}

/** The index has no more rows written of a region than all its borders' transitions, repaired and unanswered rows together. */
export interface BorderCounts extends Omit<SummaryCounts, "suppressed"> {
  /** Rows that arrived. */
  readonly published: number;
  /** Rows of messages that nobody answered: written perhaps, and sent again, maybe to another global agent. */
  readonly unanswered: number;
  /** Rows on their way. */
  readonly waiting: number;
}

interface Ahead {
  readonly highWater: Hlc;
  readonly sinceMs: number;
}

export class Border {
  readonly #view: RegionView;
  readonly #generation: number;
  readonly #config: BorderConfig;
  readonly #hasGlobals: boolean;
  readonly #summary: Summary;
  readonly #outbox: Outbox;
  readonly #standIn: StandIn;
  readonly #touched = new Set<string>();
  #effects: BorderEffect[] = [];
  #isLookDue = false;
  #isLoaded = false;
  #isPublishing = false;
  #isAuditDue = false;
  #auditedMs = -Infinity;
  /** Apps whose rows went out since the index was asked for: what it says of them may be from before. */
  readonly #moved = new Set<string>();
  /** Index rows that are newer than this border's detail, and since when, by its own clock. At most as many as there are rows. */
  #ahead: ReadonlyMap<string, Ahead> = new Map();

  constructor({ view, generation, globals, config }: BorderOptions) {
    checkBorderConfig(config);
    this.#view = view;
    this.#generation = generation;
    this.#config = config;
    this.#hasGlobals = globals > 0;
    this.#summary = new Summary(config.summary);
    this.#outbox = new Outbox(config, globals);
    this.#standIn = new StandIn(config, view.api);
  }

  get isPublishing(): boolean {
    return this.#isPublishing;
  }

  /** Touched apps that nobody has looked at yet. */
  get touchedCount(): number {
    return this.#touched.size;
  }

  get counts(): BorderCounts {
    const { transitions, repaired, held } = this.#summary.counts;
    const { rowsSent: published, rowsUnanswered: unanswered, size: waiting } = this.#outbox;
    return { transitions, repaired, published, unanswered, waiting, held };
  }

  /** The region's rows as this border would have them in the index. */
  advertised(): ReadonlyMap<string, PlacementClass> {
    return this.#summary.published();
  }

  handle(input: BorderInput, now: Now): BorderEffect[] {
    this.#take(input, now);
    this.#forward(this.#outbox.flush());
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #take(input: BorderInput, now: Now): void {
    switch (input.kind) {
      case "start":
        return this.#start(now);
      case "touched":
        for (const app of input.apps) this.#touched.add(app);
        return this.#lookAfter(this.#config.gatherMs);
      case "look":
        return this.#look(now);
      case "wake":
        return this.#onWake(input.timer, now);
      case "sent":
        return this.#forward(this.#outbox.onSent());
      case "send-failed":
        return this.#forward(this.#outbox.onSendFailed());
      case "index":
        return this.#onIndex(input.rows, now);
      case "index-failed":
        return this.#auditAfter(this.#config.retryMaxMs);
      case "heartbeat-failed":
      case "standing-failed":
        return this.#outbox.onUnanswered(input.to);
      case "standing":
        this.#standIn.onStanding(input.standing);
        return this.#reviewRole(now);
      case "doubts":
        return this.#onDoubts(input.apps, now);
      case "confirm-withdrawals":
        return this.#step(input, now);
      default:
        return unreachable(input);
    }
  }

  #start(now: Now): void {
    const { roleMs, heartbeatMs, auditMs } = this.#config;
    for (const app of this.#view.apps()) this.#touched.add(app);
    this.#look(now);
    this.#wake(roleMs, { kind: "role" });
    this.#wake(heartbeatMs, { kind: "heartbeat" });
    this.#wake(auditMs, { kind: "audit" });
  }

  #onWake(timer: BorderTimer, now: Now): void {
    const { roleMs, heartbeatMs, auditMs } = this.#config;
    switch (timer.kind) {
      case "look":
        this.#isLookDue = false;
        return this.#look(now);
      case "role":
        this.#reviewRole(now);
        return this.#wake(roleMs, timer);
      case "heartbeat":
        this.#heartbeat();
        return this.#wake(heartbeatMs, timer);
      case "audit":
        this.#audit(now);
        return this.#wake(auditMs, timer);
      case "audit-again":
        this.#isAuditDue = false;
        return this.#audit(now);
      case "retry":
        return this.#forward(this.#outbox.onRetry());
      case "summary":
        return this.#step({ kind: "wake", timer: timer.timer }, now);
    }
  }

  /** Asks the view about some of the apps that were touched. */
  #look(now: Now): void {
    let left = this.#config.appsPerLook;
    for (const app of this.#touched) {
      if (left-- === 0) break;
      this.#touched.delete(app);
      const cls = this.#view.classOf(app);
      const isNews = cls === undefined || cls !== this.#summary.classOf(app);
      if (isNews) this.#step({ kind: "observed", app, class: cls, highWater: this.#view.highWater(app) }, now);
    }
    if (this.#touched.size > 0) this.#lookAfter(this.#config.lookAgainMs);
    else this.#isLoaded = true;
  }

  /**
   * First among the living publishes, once it knows as much as its peers: to an empty view every row is a ghost. So does whoever
   * stands in for it.
   */
  #reviewRole(now: Now): void {
    const isAble = this.#isLoaded && this.#view.hasSynced && this.#view.hasView;
    const publishing = isAble && this.#isItsTurn(now);
    if (!isAble) this.#standIn.rest();
    if (publishing === this.#isPublishing) return;
    this.#isPublishing = publishing;
    this.#effects.push({ kind: "role", publishing });
    this.#step({ kind: "role", publishing }, now);
    this.#heartbeat();
    this.#audit(now);
  }

  #isItsTurn(now: Now): boolean {
    const view = this.#view;
    const running = view.members().filter(({ state }) => state === "alive" || state === "suspect");
    const there = [view.nodeId, ...running.map(({ nodeId }) => nodeId)];
    const place = rendezvous("border", there).indexOf(view.nodeId);
    if (!this.#hasGlobals || (place === 0 && seesHalf(view.enlisted(), new Set(there)))) {
      this.#standIn.rest();
      return place === 0;
    }
    if (this.#standIn.isLookDue(place, now)) {
      this.#effects.push({ kind: "read-standing", to: this.#outbox.preferred });
    }
    return this.#standIn.isNeeded;
  }

  #heartbeat(): void {
    if (!this.#isPublishing || !this.#hasGlobals) return;
    const alive = this.#view.members().filter(({ state }) => state === "alive");
    const apis = [this.#view.api, ...alive.map(({ api }) => api)].slice(0, this.#config.apisMax);
    const highWater = this.#view.regionHighWater();
    const beat = { highWater, apis, agents: alive.length + 1, apps: this.#summary.published().size };
    this.#effects.push({ kind: "heartbeat", to: this.#outbox.preferred, beat });
  }

  /**
   * Compares what the world believes of this region with what is true, and repairs both ways. One that cannot be made now,
   * since rows are under way or nobody answers, is made again soon: it may be the first since this agent publishes, and
   * what was seen before that is told by it alone.
   */
  #audit(now: Now): void {
    if (!this.#isPublishing || !this.#hasGlobals) return;
    this.#auditedMs = now.monotonicMs;
    if (this.#outbox.size > 0) return this.#auditAfter(this.#config.auditRetryMs);
    this.#moved.clear();
    this.#effects.push({ kind: "read-index", to: this.#outbox.preferred });
  }

  /** Rows on their way would show as wrong. */
  #onIndex(rows: readonly IndexedRow[], now: Now): void {
    if (!this.#isPublishing) return;
    if (this.#outbox.size > 0) return this.#auditAfter(this.#config.auditRetryMs);
    const ahead = new Map<string, Ahead>();
    const known = rows.filter(({ app }) => !this.#moved.has(app));
    const moved = [...this.#moved].map((app) => ({ app, class: this.#summary.advertised(app) }));
    const withDetail = known.map(({ app, class: cls, generation, highWater: stamped }) => {
      // Nearly all of them. Whether the detail knows as much matters for a row that is not as it should be.
      if (cls === this.#summary.classOf(app)) return { app, class: cls };
      // A row of an older generation says nothing that this one would have to have heard of.
      const highWater = generation < this.#generation ? 0n : stamped;
      const detailHighWater = this.#view.highWater(app);
      if (highWater <= detailHighWater) return { app, class: cls, highWater, detailHighWater };
      const before = this.#ahead.get(app);
      const since = before?.highWater === highWater ? before : { highWater, sinceMs: now.monotonicMs };
      ahead.set(app, since);
      return {
        app,
        class: cls,
        highWater,
        detailHighWater: this.#isUntrue(since, now) ? highWater + 1n : detailHighWater,
      };
    });
    this.#ahead = ahead;
    this.#step({ kind: "index", rows: [...withDetail, ...moved] }, now);
  }

  /**
   * An index row that knows more than this border does. But when the region has gone on for a while since, or nothing came in
   * all that time, and this border is not cut off from any of it, then there is nothing more to hear, and the row is wrong.
   */
  #isUntrue({ highWater, sinceMs }: Ahead, now: Now): boolean {
    const { settledMs } = this.#config;
    const isOld = hlcToMs(highWater) + settledMs < hlcToMs(this.#view.regionHighWater());
    return (isOld || now.monotonicMs - sinceMs >= settledMs) && this.#hasEverything();
  }

  /** No version is known to be missing, and no member is out of reach, who might know of more. */
  #hasEverything(): boolean {
    return !this.#view.hasGaps() && this.#view.members().every(({ state }) => state === "alive" || state === "left");
  }

  /** The next audit repairs what a router found wrong, and comes soon. */
  #onDoubts(apps: readonly (string | null)[], now: Now): void {
    if (!this.#isPublishing || apps.length === 0) return;
    if (apps.includes(null)) this.#heartbeat();
    const { auditRetryMs, doubtAuditMs } = this.#config;
    this.#auditAfter(Math.max(auditRetryMs, doubtAuditMs - (now.monotonicMs - this.#auditedMs)));
  }

  #auditAfter(afterMs: number): void {
    if (this.#isAuditDue) return;
    this.#isAuditDue = true;
    this.#wake(afterMs, { kind: "audit-again" });
  }

  #lookAfter(afterMs: number): void {
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    this.#wake(afterMs, { kind: "look" });
  }

  #step(input: SummaryInput, now: Now): void {
    for (const effect of this.#summary.handle(input, now)) {
      if (effect.kind === "publish" || effect.kind === "withdraw") {
        const { app, highWater } = effect;
        if (this.#hasGlobals) this.#moved.add(app);
        this.#outbox.offer({ app, class: effect.kind === "publish" ? effect.class : undefined, highWater });
      } else if (effect.kind === "wake") {
        this.#wake(effect.afterMs, { kind: "summary", timer: effect.timer });
      } else this.#effects.push(effect);
    }
  }

  #wake(afterMs: number, timer: BorderTimer): void {
    this.#effects.push({ kind: "wake", afterMs, timer });
  }

  #forward(effects: readonly OutboxEffect[]): void {
    this.#effects.push(...effects);
  }
}
