/**
 * What members do about checkpoints beside taking them, in turn and once a period: prove the newest base by restoring it, and
 * delete what retention lets go. A drill is the work of a member that did not take what it restores.
 */
import { AppError } from "@patina/base";
import {
  claimPeriod,
  type ObjectStore,
  partsOfId,
  prune,
  type PruneReport,
  type Proof,
  type RetentionName,
  turnOf,
  type Work,
} from "@patina/checkpoint";
import type { CheckpointNote } from "@patina/store";
import type { StoreClock } from "./store-clock.js";

export interface ChoresOptions {
  readonly objects: ObjectStore;
  readonly cluster: { readonly name: string; readonly generation: number };
  readonly self: string;
  /** The other members that are up. */
  readonly others: () => readonly string[];
  readonly notes: () => readonly CheckpointNote[];
  /** Undefined to delete nothing. */
  readonly retention: RetentionName | undefined;
  readonly drill: (id: string) => Promise<Proof>;
  /** Takes a base, and tells the members of it. */
  readonly takeBase: () => Promise<unknown>;
  /** Who took it, from its manifest. */
  readonly takerOf: (id: string) => Promise<string>;
  readonly onPruned: (report: PruneReport) => void;
  /** Told of what went wrong. The next period tries again. */
  readonly onFailed: (work: "take" | "drill" | "prune", error: unknown) => void;
}

const DAY_MS = 86_400_000;
/** A base is proved within the hour; a drill that failed is tried again in the next. */
const DRILL_EVERY_MS = 3_600_000;
/** Longer than either takes. */
const CLAIM_TTL_MS = 60 * 60_000;
const HOLD_OFF_MS = 15 * 60_000;
/** A store that damages whatever is put there must not be filled with bases. */
const RETAKE_EVERY_MS = 6 * 3_600_000;

interface Turn {
  readonly work: Work;
  readonly period: number;
  /** By the store's clock. */
  readonly nowMs: number;
}

export class Chores {
  readonly #options: ChoresOptions;
  /** Periods that were claimed by somebody, so that the store is not asked again. */
  readonly #settled = new Map<Work, number>();
  /** When a store that did not answer a claim is asked again: for a moment's fault no day is given up. */
  readonly #heldOffUntilMs = new Map<Work, number>();

  constructor(options: ChoresOptions) {
    this.#options = options;
  }

  /** Does what is due and this member's turn. Never throws. */
  async doWhatIsDue(clock: StoreClock): Promise<void> {
    await this.#attempt("drill", async () => {
      const nowMs = await clock.nowMs();
      const base = baseToDrill(this.#options.notes(), nowMs);
      const period = Math.floor(nowMs / DRILL_EVERY_MS);
      if (base !== undefined) await this.#drill(base, { work: "drill", period, nowMs });
    });
    await this.#attempt("prune", async () => {
      const { retention } = this.#options;
      const nowMs = await clock.nowMs();
      const period = Math.floor(nowMs / DAY_MS);
      if (retention !== undefined) await this.#prune(retention, { work: "prune", period, nowMs });
    });
  }

  async #attempt(work: "take" | "drill" | "prune", perform: () => Promise<unknown>): Promise<void> {
    try {
      await perform();
    } catch (thrown) {
      this.#options.onFailed(work, thrown);
    }
  }

  async #drill(base: string, turn: Turn): Promise<void> {
    const { drill, self, others } = this.#options;
    if (this.#settled.get("drill") === turn.period) return;
    const isOurs = (await this.#takerOf(base, turn.period)) === self;
    if ((isOurs && others().length > 0) || !(await this.#isMine(turn))) return;
    try {
      await drill("latest");
    } catch (thrown) {
      const isDamaged = thrown instanceof AppError && thrown.code === "checkpoint-damaged";
      if (isDamaged) await this.#attempt("take", async () => this.#retake(turn.nowMs));
      throw thrown;
    }
  }

  /** The drill has marked what is damaged, so that another base does not stand on it. */
  async #retake(nowMs: number): Promise<void> {
    const { objects, cluster, self: by, takeBase } = this.#options;
    const claim = { work: "base", period: Math.floor(nowMs / RETAKE_EVERY_MS), by, ttlMs: RETAKE_EVERY_MS } as const;
    if (await claimPeriod(objects, cluster.name, { ...claim, generation: cluster.generation })) await takeBase();
  }

  /** A base that cannot be read is told of once a period, and not with every ring. */
  async #takerOf(base: string, period: number): Promise<string> {
    try {
      return await this.#options.takerOf(base);
    } catch (thrown) {
      this.#settled.set("drill", period);
      throw thrown;
    }
  }

  async #prune(policy: RetentionName, turn: Turn): Promise<void> {
    const { objects, cluster, self, notes, onPruned } = this.#options;
    if (!(await this.#isMine(turn))) return;
    const noted = notes().map(({ manifest }) => manifest);
    onPruned(await prune({ objects, cluster: cluster.name, policy, noted, by: self.slice(0, 8), isDryRun: false, force: false })); // prettier-ignore
  }

  async #isMine({ work, period, nowMs }: Turn): Promise<boolean> {
    const { objects, cluster, self, others } = this.#options;
    if (this.#settled.get(work) === period) return false;
    // Whoever is behind the first two leaves it to them, and to the next period.
    if (turnOf(self, [self, ...others()], cluster.name, { work, period }) > 1) return false;
    if (nowMs < (this.#heldOffUntilMs.get(work) ?? 0)) return false;
    this.#heldOffUntilMs.set(work, nowMs + HOLD_OFF_MS);
    const isMine = await claimPeriod(objects, cluster.name, { work, period, generation: cluster.generation, by: self, ttlMs: CLAIM_TTL_MS }); // prettier-ignore
    this.#heldOffUntilMs.delete(work);
    this.#settled.set(work, period);
    return isMine;
  }
}

/** The newest base, unless it was restored this day already. */
export function baseToDrill(notes: readonly CheckpointNote[], nowMs: number): string | undefined {
  const base = notes.find(({ level }) => level === "base")?.manifest;
  const verified = notes.find(({ level }) => level === "verified");
  if (base === undefined || partsOfId(base) === undefined) return undefined;
  const isToday = verified !== undefined && Math.floor(verified.atMs / DAY_MS) === Math.floor(nowMs / DAY_MS);
  return verified?.manifest === base && isToday ? undefined : base;
}
