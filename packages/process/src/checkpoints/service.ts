/** Everything an agent does about checkpoints while it runs: takes them in its turn, answers for them, and notices a restore. */
import { type AppError } from "@patina/base";
import { DEFAULT_SCHEDULE, type Manifest, type ObjectStore } from "@patina/checkpoint";
import { type AgentRuntime, Copier, systemNow } from "@patina/runtime";
import type { SqliteStore } from "@patina/store";
import type { Logger } from "@patina/telemetry";
import { CheckpointAlarm } from "./alarm.js";
import { Checkpoints } from "./checkpoints.js";
import { GenerationWatch } from "./generation-watch.js";
import { Taking } from "./taking.js";

export interface CheckpointServiceOptions {
  readonly objects: ObjectStore;
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

export class CheckpointService {
  readonly checkpoints: Checkpoints;
  readonly generations: GenerationWatch;
  /** Checkpoints that could not be taken since the start. */
  failures = 0;
  readonly #copier: Copier;
  readonly #alarm: CheckpointAlarm | undefined;

  constructor(options: CheckpointServiceOptions) {
    const { objects, schedule, store, runtime, nodeId, log } = options;
    this.#copier = new Copier(options.databasePath);
    const copier = this.#copier;
    const taking = new Taking({ ...options, copier, heartbeatMs: DEFAULT_SCHEDULE.heartbeatMs });
    const onTaken = async (manifest: Manifest): Promise<void> => {
      await note(runtime, store, manifest);
      log.info({ checkpoint: manifest.id, bytes: manifest.content.bytes }, "a checkpoint was taken");
    };
    const others = (): string[] => {
      return runtime.members().flatMap(({ nodeId: node, state }) => (state === "alive" ? [node] : []));
    };
    this.checkpoints = new Checkpoints({ objects, cluster: store.cluster.name, taking, copier, onTaken });
    this.generations = new GenerationWatch({
      objects,
      cluster: store.cluster,
      isAlone: () => others().length === 0,
      onSuperseded: options.onFatal,
      onFailed: (err) => log.warn({ err }, "whether this generation is over could not be looked up"),
    });
    if (schedule === undefined) return;
    this.#alarm = new CheckpointAlarm(schedule, {
      objects,
      store,
      taking,
      self: nodeId,
      others,
      isReady: () => runtime.agent.hasSynced && store.isWhole,
      wallMs: () => systemNow().wallMs,
      onTaken,
      onFailed: (err) => {
        this.failures++;
        log.error({ err }, "a checkpoint could not be taken");
      },
    });
  }

  async close(): Promise<void> {
    this.generations.close();
    await this.#alarm?.close();
    await this.#copier.close();
  }
}

/** Lets all members know of it. */
async function note(runtime: AgentRuntime, store: SqliteStore, manifest: Manifest): Promise<void> {
  const { id, level, takenAtMs: atMs } = manifest;
  const row = store.checkpoints.note({ level, manifest: id, atMs });
  const outcome = await runtime.write({ kind: "rows", rows: [row] });
  if (!outcome.ok) throw outcome.error;
}
