/**
 * Rings now and then, and takes the cluster's next checkpoint when it is due and this agent's turn. There is no leader: all
 * members reckon the same order for a period, and whoever comes later looks whether it is done before it begins.
 */
import {
  claimPeriod,
  DEFAULT_SCHEDULE,
  type Due,
  dueAt,
  type Level,
  LEVELS,
  type Manifest,
  type ObjectStore,
  partsOfId,
  type ScheduleConfig,
  turnOf,
} from "@patina/checkpoint";
import type { SqliteStore } from "@patina/store";
import { schedule, type ScheduledTask } from "node-cron";
import type { StoreClock } from "./store-clock.js";
import type { Taking } from "./taking.js";

export interface AlarmOptions {
  readonly objects: ObjectStore;
  readonly store: SqliteStore;
  readonly taking: Taking;
  readonly self: string;
  /** The other members that are up. */
  readonly others: () => readonly string[];
  /** Whether this copy is as complete as anybody's. */
  readonly isReady: () => boolean;
  readonly clock: StoreClock;
  readonly onTaken: (manifest: Manifest) => Promise<void>;
  /** Told of what kept it from taking one. The next ring tries again. */
  readonly onFailed: (error: unknown) => void;
  readonly config?: ScheduleConfig;
}

/** Members further back leave a period to those before them, and to the next. */
const TURNS_MAX = 3;
/** A claim of somebody who died is outdated after so long. Should a base take longer, a second one does no harm. */
const CLAIM_TTL_MS = 2 * 60_000;

export class CheckpointAlarm {
  readonly #options: AlarmOptions;
  readonly #config: ScheduleConfig;
  readonly #task: ScheduledTask;
  #waiting: { readonly timer: NodeJS.Timeout; readonly stop: () => void } | undefined;
  /** The shortest period in which this member made its last attempt: it makes one in each, whatever becomes of it. */
  #tried: number | undefined;
  #isRinging = false;
  #isClosed = false;

  /** `expression`: when to ring, as cron has it, seconds first. */
  constructor(expression: string, options: AlarmOptions) {
    this.#options = options;
    this.#config = options.config ?? DEFAULT_SCHEDULE;
    this.#task = schedule(expression, () => this.ring(), { timezone: "UTC" });
  }

  /** Never throws. Rings that overlap are one. */
  async ring(): Promise<void> {
    if (this.#isRinging || this.#isClosed || !this.#options.isReady()) return;
    this.#isRinging = true;
    try {
      await this.#takeWhatIsDue();
    } catch (thrown) {
      if (!this.#isClosed) this.#options.onFailed(thrown);
    } finally {
      this.#isRinging = false;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting?.stop();
    await this.#task.destroy();
  }

  async #takeWhatIsDue(): Promise<void> {
    const { self, others, store, objects, taking, clock, onTaken } = this.#options;
    const due = await this.#due();
    const slot = Math.floor((await clock.nowMs()) / this.#config.periodMs.d0);
    if (due === undefined || slot === this.#tried) return;
    this.#tried = slot;
    const turn = turnOf(self, [self, ...others()], store.cluster.name, { work: due.level, period: due.period });
    if (turn > TURNS_MAX) return;
    await this.#wait(turn * this.#config.turnMs);
    const still = await this.#due();
    if (this.#isClosed || !isSame(due, still)) return;
    // While somebody else takes a longer one, or has died of it, the short ones go on: they bound what a loss costs.
    const level = (await this.#isMine(due)) ? due.level : "d0";
    const taken = level === "base" ? await taking.base() : await taking.delta(level);
    if (taken === "base") {
      const base: Due = { level: "base", period: Math.floor((await objects.now()) / this.#config.periodMs.d1) };
      if (await this.#isMine(base)) await onTaken(await taking.base());
    } else if (typeof taken !== "string") await onTaken(taken);
  }

  /** The shortest deltas cost less than a claim on them. */
  async #isMine(due: Due): Promise<boolean> {
    const { store, objects, self } = this.#options;
    const { name, generation } = store.cluster;
    return (
      due.level === "d0" ||
      claimPeriod(objects, name, { work: due.level, period: due.period, generation, by: self, ttlMs: CLAIM_TTL_MS })
    );
  }

  async #due(): Promise<Due | undefined> {
    return dueAt(await this.#options.clock.nowMs(), this.#newest(), this.#config);
  }

  #newest(): Map<Level, number> {
    const { generation } = this.#options.store.cluster;
    const newest = new Map<Level, number>();
    for (const { level, manifest, atMs } of this.#options.store.checkpoints.list()) {
      const known = LEVELS.find((each) => each === level);
      if (known !== undefined && partsOfId(manifest)?.generation === generation) newest.set(known, atMs);
    }
    return newest;
  }

  async #wait(ms: number): Promise<void> {
    if (ms === 0) return;
    await new Promise<void>((resolve) => {
      const stop = (): void => (clearTimeout(timer), resolve());
      const timer = setTimeout(resolve, ms);
      this.#waiting = { timer, stop };
    });
  }
}

function isSame(due: Due, other: Due | undefined): boolean {
  return other?.level === due.level && other.period === due.period;
}
