/**
 * What members do about checkpoints beside taking them, in turn and once a period: prove the newest base by restoring it, and
 * delete what retention lets go. A drill is the work of a member that did not take what it restores.
 */
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
  /** Who took it, from its manifest. */
  readonly takerOf: (id: string) => Promise<string>;
  readonly onPruned: (report: PruneReport) => void;
  /** Told of what went wrong. The next period tries again. */
  readonly onFailed: (work: "drill" | "prune", error: unknown) => void;
}

const DAY_MS = 86_400_000;
/** A base is proved within the hour; a drill that failed is tried again in the next. */
const DRILL_EVERY_MS = 3_600_000;
/** Longer than either takes. */
const CLAIM_TTL_MS = 60 * 60_000;

export class Chores {
  readonly #options: ChoresOptions;
  /** Periods that were claimed by somebody, so that the store is not asked again. */
  readonly #settled = new Map<Work, number>();

  constructor(options: ChoresOptions) {
    this.#options = options;
  }

  /** Does what is due and this member's turn. Never throws. */
  async doWhatIsDue(clock: StoreClock): Promise<void> {
    await this.#attempt("drill", async () => {
      const nowMs = await clock.nowMs();
      const base = baseToDrill(this.#options.notes(), nowMs);
      if (base !== undefined) await this.#drill(base, Math.floor(nowMs / DRILL_EVERY_MS));
    });
    await this.#attempt("prune", async () => {
      const { retention } = this.#options;
      if (retention !== undefined) await this.#prune(retention, Math.floor((await clock.nowMs()) / DAY_MS));
    });
  }

  async #attempt(work: "drill" | "prune", perform: () => Promise<void>): Promise<void> {
    try {
      await perform();
    } catch (thrown) {
      this.#options.onFailed(work, thrown);
    }
  }

  async #drill(base: string, period: number): Promise<void> {
    const { drill, self, others } = this.#options;
    if (this.#settled.get("drill") === period) return;
    const isOurs = (await this.#takerOf(base, period)) === self;
    if ((isOurs && others().length > 0) || !(await this.#isMine("drill", period))) return;
    await drill("latest");
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

  async #prune(policy: RetentionName, period: number): Promise<void> {
    const { objects, cluster, self, notes, onPruned } = this.#options;
    if (!(await this.#isMine("prune", period))) return;
    const noted = notes().map(({ manifest }) => manifest);
    onPruned(await prune({ objects, cluster: cluster.name, policy, noted, by: self.slice(0, 8), isDryRun: false, force: false })); // prettier-ignore
  }

  async #isMine(work: Work, period: number): Promise<boolean> {
    const { objects, cluster, self, others } = this.#options;
    if (this.#settled.get(work) === period) return false;
    // Whoever is behind the first two leaves it to them, and to the next period.
    if (turnOf(self, [self, ...others()], cluster.name, { work, period }) > 1) return false;
    this.#settled.set(work, period);
    return claimPeriod(objects, cluster.name, { work, period, generation: cluster.generation, by: self, ttlMs: CLAIM_TTL_MS }); // prettier-ignore
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
