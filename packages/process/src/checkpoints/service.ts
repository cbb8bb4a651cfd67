/** Everything an agent does about checkpoints while it runs: takes them in its turn, answers for them, and notices a restore. */
import { type AppError } from "@patina/base";
import {
  DEFAULT_SCHEDULE,
  isAhead,
  type Manifest,
  type ObjectStore,
  partsOfId,
  type Proof,
  type RetentionName,
  readManifest,
} from "@patina/checkpoint";
import { schedule as atTimes, type ScheduledTask } from "node-cron";
import { type AgentRuntime, Copier, systemNow } from "@patina/runtime";
import type { CheckpointNote, SqliteStore } from "@patina/store";
import type { Logger } from "@patina/telemetry";
import { type AlarmOptions, CheckpointAlarm } from "./alarm.js";
import { Checkpoints } from "./checkpoints.js";
import { Chores } from "./chores.js";
import { Drilling } from "./drill/drilling.js";
import { GenerationWatch } from "./generation-watch.js";
import { Standing } from "./standing.js";
import { StoreClock } from "./store-clock.js";
import { Taking } from "./taking.js";

export interface CheckpointServiceOptions {
  readonly objects: ObjectStore;
  /** What opens it: a drill opens it anew, in a thread of its own. */
  readonly location: { readonly store: string; readonly keyFile: string | undefined };
  /** Undefined to delete no checkpoint. */
  readonly retention: RetentionName | undefined;
  /** When to look whether a checkpoint is due, as cron has it; undefined never to take one unasked. */
  readonly schedule: string | undefined;
  readonly store: SqliteStore;
  readonly runtime: AgentRuntime;
  readonly databasePath: string;
  readonly nodeDir: string;
  readonly nodeId: string;
  readonly version: string;
  readonly log: Logger;
  readonly onFatal: (error: AppError) => void;
}

const CHORE_FAILED = {
  take: "no base could be taken in the place of one that is damaged",
  drill: "the newest checkpoint could not be proved",
  prune: "nothing is pruned",
} as const;

export class CheckpointService {
  readonly checkpoints: Checkpoints;
  readonly generations: GenerationWatch;
  readonly standing: Standing;
  readonly #drilling: Drilling;
  readonly #copier: Copier;
  readonly #chores: Chores;
  #choring: ScheduledTask | undefined;
  #isChoring = false;
  #alarm: CheckpointAlarm | undefined;

  constructor(options: CheckpointServiceOptions) {
    const { objects, schedule, store, runtime, nodeId, log } = options;
    this.#copier = new Copier(options.databasePath);
    const copier = this.#copier;
    const taking = new Taking({
      ...options,
      copier,
      heartbeatMs: DEFAULT_SCHEDULE.heartbeatMs,
      onVanished: (checkpoint) =>
        log.error({ checkpoint }, "the object store has lost a checkpoint: a base is taken anew"),
    });
    const onTaken = async (manifest: Manifest): Promise<void> => {
      await note(runtime, store, manifest);
      log.info({ checkpoint: manifest.id, bytes: manifest.content.bytes }, "a checkpoint was taken");
    };
    const others = (): string[] => {
      return runtime.members().flatMap(({ nodeId: node, state }) => (state === "alive" ? [node] : []));
    };
    const clock = new StoreClock(objects, () => systemNow().wallMs);
    const cluster = store.cluster.name;
    this.standing = new Standing({
      store,
      clock,
      digestIn: async (id) => (await readManifest(objects, cluster, id)).digest,
      onUnread: (err) => log.warn({ err }, "how far the newest checkpoint is behind is not known"),
    });
    const { location, nodeDir, databasePath: livePath } = options;
    this.#drilling = new Drilling({ ...location, cluster, nodeDir, nodeId, livePath });
    const drill = async (id: string): Promise<Proof> => {
      const proof = await this.#drilling.run(id);
      this.standing.onDrilled(proof);
      await noteVerified(runtime, store, proof);
      log.info({ checkpoint: proof.checkpoint, tookMs: proof.tookMs, bytes: proof.bytes }, "a checkpoint was restored aside, and is whole"); // prettier-ignore
      return proof;
    };
    const notes = (): readonly CheckpointNote[] => store.checkpoints.list();
    this.checkpoints = new Checkpoints({ objects, cluster, taking, copier, onTaken, drill, notes });
    this.#chores = new Chores({
      objects,
      cluster: store.cluster,
      self: nodeId,
      others,
      notes,
      retention: options.retention,
      drill,
      takeBase: async () => this.checkpoints.create(),
      takerOf: rememberLast(async (id) => (await readManifest(objects, cluster, id)).by.node),
      onPruned: ({ marked, swept }) => log.info({ marked, swept }, "checkpoints were pruned"),
      onFailed: (work, err) => {
        this.standing.onFailed(work);
        log.error({ err }, CHORE_FAILED[work]);
      },
    });
    this.generations = new GenerationWatch({
      objects,
      cluster: store.cluster,
      isAlone: () => others().length === 0,
      onSuperseded: options.onFatal,
      onFailed: (err) => log.warn({ err }, "whether this generation is over could not be looked up"),
    });
    if (schedule !== undefined) this.#ringAt(schedule, options, { taking, clock, others, onTaken });
  }

  async close(): Promise<void> {
    this.generations.close();
    await this.#choring?.destroy();
    await this.#alarm?.close();
    await this.#drilling.close();
    await this.#copier.close();
  }

  /** Takes what is due at these times, and does the chores; while this copy is not whole, others do. */
  #ringAt(
    times: string,
    { objects, store, runtime, nodeId, log }: CheckpointServiceOptions,
    parts: Pick<AlarmOptions, "taking" | "clock" | "others" | "onTaken">,
  ): void {
    const isReady = (): boolean => runtime.agent.hasSynced && store.isWhole;
    this.#choring = atTimes(times, async () => (isReady() ? this.#ring(parts.clock) : undefined), { timezone: "UTC" });
    this.#alarm = new CheckpointAlarm(times, {
      ...parts,
      objects,
      store,
      self: nodeId,
      isReady,
      onFailed: (err) => {
        this.standing.onFailed("take");
        log.error({ err }, "a checkpoint could not be taken");
      },
    });
  }

  /** Rings that overlap are one: a drill may take longer than the next. */
  async #ring(clock: StoreClock): Promise<void> {
    this.standing.look();
    if (this.#isChoring) return;
    this.#isChoring = true;
    try {
      await this.#chores.doWhatIsDue(clock);
    } finally {
      this.#isChoring = false;
    }
  }
}

/** Lets all members know of it. */
async function note(runtime: AgentRuntime, store: SqliteStore, manifest: Manifest): Promise<void> {
  const { id, level, takenAtMs: atMs } = manifest;
  await write(runtime, store, { level, manifest: id, atMs });
}

/** A drill of an older base tells nobody anything new; `atMs` is when it was, by the store's clock. */
async function noteVerified(runtime: AgentRuntime, store: SqliteStore, { base, atMs }: Proof): Promise<void> {
  const before = store.checkpoints.list().find(({ level }) => level === "verified")?.manifest ?? "";
  const isNews = base >= before || isAhead(partsOfId(before)?.takenAtMs ?? 0, atMs);
  if (isNews) await write(runtime, store, { level: "verified", manifest: base, atMs });
}

async function write(runtime: AgentRuntime, store: SqliteStore, noted: CheckpointNote): Promise<void> {
  const row = store.checkpoints.note(noted);
  const outcome = await runtime.write({ kind: "rows", rows: [row] });
  if (!outcome.ok) throw outcome.error;
}

/** Asked again for the same, it does not look again: what is in a manifest stays so. */
function rememberLast(look: (id: string) => Promise<string>): (id: string) => Promise<string> {
  let last: { readonly id: string; readonly found: string } | undefined;
  return async (id) => {
    if (last?.id !== id) last = { id, found: await look(id) };
    return last.found;
  };
}
