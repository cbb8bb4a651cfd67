/**
 * From what a region's detail says of each app to the few rows that the rest of the world needs: a row changes only when
 * the app's presence or class does, so a thousand machine updates without a transition send nothing.
 *
 *   absent ──seen──► advertised ──gone──► hold-down ──over──► due ──brake allows──► absent
 *                        ▲   └──gone, deliberately──────────────┤
 *                        └──────────────seen again──────────────┴── (brake holds: stays due, and advertised)
 *
 * Every border of the region runs this on the same detail and keeps the same state; only those that publish emit rows.
 * The asymmetry is meant: a row too many costs one question to the region, a row too few makes a running app unfindable.
 */
import { assert, type Hlc, type Now, unreachable } from "@patina/base";
import { Brake } from "./brake.js";
import { checkSummaryConfig, type SummaryConfig } from "./config.js";
import { Damping } from "./damping.js";

export type PlacementClass = "serving" | "standby";

/** `atMs`: when it is due on the monotonic clock. Any but the last one armed is a no-op. */
export interface SummaryTimer {
  readonly kind: "due";
  readonly atMs: number;
}

export interface IndexRow {
  readonly app: string;
  /** Undefined for a row that was withdrawn and whose stamp is still known. */
  readonly class: PlacementClass | undefined;
  /** Of the row as the index holds it; 0 for a row of an older generation. */
  readonly highWater?: Hlc;
  /** Of the app in this border's own detail. Less than the row's means that this border is behind, not the index. */
  readonly detailHighWater?: Hlc;
}

export type SummaryInput =
  /** What the region's view says of the app now; no class when it has no row. `deliberate`: deleted, not lost. */
  | {
      readonly kind: "observed";
      readonly app: string;
      readonly class: PlacementClass | undefined;
      readonly highWater: Hlc;
      readonly deliberate?: boolean;
    }
  /** All that the global tier holds for this region, withdrawn rows too: what is stamped below those is lost. Give it after every change of role, and now and then. */
  | { readonly kind: "index"; readonly rows: readonly IndexRow[] }
  /** Publish only with a complete view of the region: to an empty one every row is a ghost. */
  | { readonly kind: "role"; readonly publishing: boolean }
  | { readonly kind: "wake"; readonly timer: SummaryTimer }
  | { readonly kind: "confirm-withdrawals" };

export type SummaryEffect =
  | { readonly kind: "publish"; readonly app: string; readonly class: PlacementClass; readonly highWater: Hlc }
  | { readonly kind: "withdraw"; readonly app: string; readonly highWater: Hlc }
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: SummaryTimer }
  /** The brake holds `apps` withdrawals `of` so many rows: raise an alarm. With 0 apps it has let go. */
  | { readonly kind: "held"; readonly apps: number; readonly of: number }
  /** An audit found rows that were missing or of the wrong class, and rows of apps that are not there. */
  | { readonly kind: "repair"; readonly missing: number; readonly ghosts: number }
  /** Not advertised: the region already has `appsMax` rows. */
  | { readonly kind: "refused"; readonly app: string };

export interface SummaryCounts {
  /** Changes of the region's rows that were published. */
  readonly transitions: number;
  /** Rows that were published since an audit found them missing or of the wrong class. */
  readonly repaired: number;
  /** Withdrawals that were called off because the app came back. */
  readonly suppressed: number;
  /** Withdrawals that the brake holds now. */
  readonly held: number;
}

interface Row {
  readonly app: string;
  /** As advertised. */
  class: PlacementClass;
  /** Never goes back, so that a late view of the same detail cannot undo a newer row. */
  highWater: Hlc;
  isObserved: boolean;
}

export class Summary {
  readonly #config: SummaryConfig;
  readonly #damping: Damping;
  readonly #brake: Brake;
  readonly #rows = new Map<string, Row>();
  readonly #holdDown = new Map<Row, number>(); // Until when.
  readonly #due = new Set<Row>();
  #effects: SummaryEffect[] = [];
  #isPublishing = false;
  #armedMs = Infinity;
  #heldTold = 0;
  /** When an app last came back while others were held. */
  #returnedMs = -Infinity;
  #transitions = 0;
  #repaired = 0;
  #suppressed = 0;

  constructor(config: SummaryConfig) {
    checkSummaryConfig(config);
    this.#config = config;
    this.#damping = new Damping(config);
    this.#brake = new Brake(config);
  }

  /** One step. An observation without a transition costs one look-up and has no effect. */
  handle(input: SummaryInput, now: Now): SummaryEffect[] {
    switch (input.kind) {
      case "observed":
        this.#onObserved(input, now);
        break;
      case "index":
        if (this.#isPublishing) this.#audit(input.rows, now);
        break;
      case "role":
        this.#isPublishing = input.publishing;
        break;
      case "wake":
        if (input.timer.atMs === this.#armedMs) this.#onWake(now);
        break;
      case "confirm-withdrawals":
        this.#brake.reset();
        this.#withdrawDue(now);
        this.#brake.reset();
        this.#tellHeld();
        break;
      default:
        return unreachable(input);
    }
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** As last observed, whatever is advertised. */
  classOf(app: string): PlacementClass | undefined {
    const row = this.#rows.get(app);
    return row?.isObserved === true ? row.class : undefined;
  }

  /** The class of the app's row as it should be in the index; undefined when it should have none. */
  advertised(app: string): PlacementClass | undefined {
    return this.#rows.get(app)?.class;
  }

  /** The region's rows as they should be in the index, hold-down and held ones included. */
  published(): ReadonlyMap<string, PlacementClass> {
    return new Map([...this.#rows].map(([app, row]) => [app, row.class]));
  }

  get counts(): SummaryCounts {
    const [transitions, repaired, suppressed] = [this.#transitions, this.#repaired, this.#suppressed];
    return { transitions, repaired, suppressed, held: this.#due.size };
  }

  #onObserved(input: Extract<SummaryInput, { kind: "observed" }>, now: Now): void {
    const row = this.#rows.get(input.app);
    if (input.class === undefined) {
      if (row !== undefined) this.#onGone(row, input.highWater, input.deliberate === true, now);
      return;
    }
    if (row === undefined) {
      this.#add(input.app, input.class, input.highWater);
      return;
    }
    row.highWater = greater(row.highWater, input.highWater);
    if (!row.isObserved) this.#onReturn(row, now);
    if (row.class === input.class) return;
    row.class = input.class;
    this.#publish(row);
  }

  #add(app: string, placement: PlacementClass, highWater: Hlc): void {
    if (this.#rows.size >= this.#config.appsMax) {
      this.#effects.push({ kind: "refused", app });
      return;
    }
    const row: Row = { app, class: placement, highWater, isObserved: true };
    this.#rows.set(app, row);
    this.#publish(row);
  }

  #onGone(row: Row, highWater: Hlc, isDeliberate: boolean, now: Now): void {
    row.highWater = greater(row.highWater, highWater);
    if (!row.isObserved && !isDeliberate) return;
    row.isObserved = false;
    if (isDeliberate) {
      this.#holdDown.delete(row);
      this.#due.add(row);
      this.#settle(now);
    } else {
      const untilMs = now.monotonicMs + this.#damping.holdDownMs(row.app, now.monotonicMs);
      this.#holdDown.set(row, untilMs);
      this.#arm(untilMs, now);
    }
  }

  #onReturn(row: Row, now: Now): void {
    row.isObserved = true;
    this.#suppressed++;
    this.#holdDown.delete(row);
    this.#due.delete(row);
    if (this.#heldTold > 0) this.#returnedMs = now.monotonicMs;
    if (this.#due.size + this.#heldTold > 0) this.#settle(now); // One less to hold: the rest may no longer be a bulk.
  }

  #onWake(now: Now): void {
    this.#armedMs = Infinity;
    let nextMs = Infinity;
    for (const [row, untilMs] of this.#holdDown) {
      if (untilMs > now.monotonicMs) nextMs = Math.min(nextMs, untilMs);
      else {
        this.#holdDown.delete(row);
        this.#due.add(row);
      }
    }
    this.#arm(nextMs, now);
    this.#settle(now);
  }

  /**
   * Index against detail, both ways. A ghost is withdrawn like any other row, through the brake. A row that knows more
   * than this border does is left alone: a border cut off from its region must not undo what it has not heard of.
   */
  #audit(rows: readonly IndexRow[], now: Now): void {
    const indexed = new Map(rows.map((row) => [row.app, row]));
    let missing = 0;
    let ghosts = 0;
    for (const row of this.#rows.values()) {
      const held = indexed.get(row.app);
      if (held !== undefined && (held.class === row.class || isAhead(held))) continue;
      // One that is on its way out, and that somebody else has withdrawn already, stays out.
      if (!row.isObserved && held?.class === undefined) continue;
      row.highWater = greater(row.highWater, held?.detailHighWater ?? 0n);
      this.#emitPublish(row);
      missing++;
    }
    for (const held of indexed.values()) {
      const { app, class: placement, detailHighWater = 0n } = held;
      if (placement === undefined || this.#rows.has(app) || isAhead(held)) continue;
      if (this.#rows.size >= this.#config.appsMax) break;
      const ghost: Row = { app, class: placement, highWater: detailHighWater, isObserved: false };
      this.#rows.set(app, ghost);
      this.#due.add(ghost);
      ghosts++;
    }
    this.#repaired += missing;
    if (missing + ghosts > 0) this.#effects.push({ kind: "repair", missing, ghosts });
    this.#settle(now);
  }

  /**
   * Withdraws what is due, all or nothing. What is still in hold-down counts as much: a border loses sight of its region app
   * by app, and the first to be due must not go before it shows that the rest follows; nor the last, while sight comes back.
   */
  #settle(now: Now): void {
    const gone = this.#due.size + this.#holdDown.size;
    const returningUntilMs = this.#returnedMs + this.#config.holdDownMs;
    const isReturning = now.monotonicMs < returningUntilMs;
    if (!isReturning && this.#brake.allows(gone, this.#rows.size, now.monotonicMs)) this.#withdrawDue(now);
    this.#tellHeld();
    if (this.#due.size > 0) this.#arm(isReturning ? returningUntilMs : this.#brake.reliefMs, now);
  }

  #withdrawDue(now: Now): void {
    if (this.#due.size === 0) return;
    this.#brake.note(this.#due.size, now.monotonicMs);
    for (const row of this.#due) {
      assert(!row.isObserved, "an app that is there is not withdrawn");
      this.#rows.delete(row.app);
      if (!this.#isPublishing) continue;
      this.#transitions++;
      this.#effects.push({ kind: "withdraw", app: row.app, highWater: row.highWater });
    }
    this.#due.clear();
  }

  #tellHeld(): void {
    if (this.#due.size === this.#heldTold) return;
    this.#heldTold = this.#due.size;
    this.#effects.push({ kind: "held", apps: this.#due.size, of: this.#rows.size });
  }

  #publish(row: Row): void {
    if (!this.#isPublishing) return;
    this.#transitions++;
    this.#emitPublish(row);
  }

  #emitPublish({ app, class: placement, highWater }: Row): void {
    this.#effects.push({ kind: "publish", app, class: placement, highWater });
  }

  /** One timer counts, for the earliest of what may happen by itself. */
  #arm(atMs: number, now: Now): void {
    if (atMs >= this.#armedMs) return;
    this.#armedMs = atMs;
    const afterMs = Math.max(0, atMs - now.monotonicMs);
    this.#effects.push({ kind: "wake", afterMs, timer: { kind: "due", atMs } });
  }
}

/** Does the index hold something newer than this border's detail has? */
function isAhead({ highWater = 0n, detailHighWater = 0n }: IndexRow): boolean {
  return highWater > detailHighWater;
}

function greater(a: Hlc, b: Hlc): Hlc {
  return a > b ? a : b;
}
