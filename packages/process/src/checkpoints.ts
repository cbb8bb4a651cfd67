/** Checkpoints of the cluster this agent is a member of, taken from its own copy. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError, holdAlso, type Holding, NO_HOLDING, type OriginId, Ranges } from "@patina/base";
import type { CheckpointsPort } from "@patina/api";
import {
  listCheckpoints,
  type Manifest,
  type ObjectStore,
  readManifest,
  takeCheckpoint,
  verifyCheckpoint,
} from "@patina/checkpoint";
import type { Maintenance } from "@patina/runtime";
import type { ImageFacts, SqliteStore } from "@patina/store";

export interface CheckpointsOptions {
  /** Undefined when none is configured: then every call says so. */
  readonly objects: ObjectStore | undefined;
  readonly store: SqliteStore;
  readonly maintenance: Maintenance;
  readonly nodeDir: string;
  readonly nodeId: string;
  readonly version: string;
}

export class Checkpoints implements CheckpointsPort {
  readonly #options: CheckpointsOptions;
  #isTaking = false;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  async create(): Promise<Manifest> {
    const objects = this.#objects();
    if (this.#isTaking) {
      throw new AppError("too-many", "this agent is taking a checkpoint already", {
        hint: "Wait for it, or ask another agent.",
      });
    }
    this.#isTaking = true;
    const imagePath = join(this.#options.nodeDir, "checkpoint-image.db");
    try {
      await rm(imagePath, { force: true }); // A killed process may have left one.
      const facts = await this.#options.maintenance.takeImage(imagePath);
      if (!facts.isWhole) {
        throw new AppError("not-ready", "this agent is catching up: its state is not whole", {
          hint: "Take the checkpoint on another agent, or again in a moment.",
        });
      }
      return await takeCheckpoint({
        objects,
        cluster: this.#cluster,
        path: imagePath,
        facts: this.#facts(facts, await objects.now()),
      });
    } finally {
      await rm(imagePath, { force: true });
      this.#isTaking = false;
    }
  }

  async list(): Promise<unknown> {
    return listCheckpoints(this.#objects(), this.#cluster);
  }

  async show(id: string): Promise<unknown> {
    return readManifest(this.#objects(), this.#cluster, id);
  }

  async verify(id: string, withData: boolean): ReturnType<CheckpointsPort["verify"]> {
    return verifyCheckpoint(this.#objects(), this.#cluster, id, { data: withData });
  }

  get #cluster(): string {
    return this.#options.store.cluster.name;
  }

  #facts(image: ImageFacts, takenAtMs: number) {
    const { nodeId, store, version } = this.#options;
    const holdings = Object.entries(image.holdings).map(([origin, held]): [OriginId, Holding] => {
      return [origin, holdAlso(NO_HOLDING, Ranges.parse(held))];
    });
    return {
      level: "base" as const,
      parent: null,
      generation: image.generation,
      takenAtMs,
      by: { node: nodeId, origin: store.origin },
      app: version,
      schema: image.schema,
      holdings: new Map(holdings),
      hlc: BigInt(image.hlc),
      digest: image.digest,
      tables: image.tables,
    };
  }

  #objects(): ObjectStore {
    if (this.#options.objects !== undefined) return this.#options.objects;
    throw new AppError("bad-request", "this agent has no object store for checkpoints", {
      hint: 'Set store = "file:///…" under [checkpoint] in its configuration and restart it.',
    });
  }
}
