/** The checkpoints of the cluster that this agent is a member of, as its API has them. */
import { AppError } from "@patina/base";
import type { CheckpointsPort } from "@patina/api";
import {
  listCheckpoints,
  type Manifest,
  type ObjectStore,
  type Proof,
  readManifest,
  verifyCheckpoint,
} from "@patina/checkpoint";
import type { Copier } from "@patina/runtime";
import type { CheckpointNote } from "@patina/store";
import type { Taking } from "./taking.js";

/** What an agent with an object store has. */
export interface CheckpointParts {
  readonly objects: ObjectStore;
  readonly cluster: string;
  readonly taking: Taking;
  readonly copier: Copier;
  readonly onTaken: (manifest: Manifest) => Promise<void>;
  readonly drill: (id: string) => Promise<Proof>;
  readonly notes: () => readonly CheckpointNote[];
}

export class Checkpoints implements CheckpointsPort {
  readonly #parts: CheckpointParts | undefined;

  /** Undefined when no object store is configured: then every call says so. */
  constructor(parts: CheckpointParts | undefined) {
    this.#parts = parts;
  }

  async create(): Promise<Manifest> {
    const { taking, onTaken } = this.#configured();
    const manifest = await taking.base();
    await onTaken(manifest);
    return manifest;
  }

  async list(): Promise<unknown> {
    const { objects, cluster } = this.#configured();
    return listCheckpoints(objects, cluster);
  }

  async show(id: string): Promise<unknown> {
    const { objects, cluster } = this.#configured();
    return readManifest(objects, cluster, id);
  }

  async verify(id: string, withData: boolean): ReturnType<CheckpointsPort["verify"]> {
    const { objects, cluster } = this.#configured();
    return verifyCheckpoint(objects, cluster, id, { data: withData });
  }

  async drill(id: string): Promise<Proof> {
    return this.#configured().drill(id);
  }

  notes(): readonly CheckpointNote[] {
    return this.#configured().notes();
  }

  async beyond(id: string): Promise<Readonly<Record<string, number>>> {
    const { objects, cluster, copier } = this.#configured();
    return copier.countBeyond((await readManifest(objects, cluster, id)).holdings);
  }

  #configured(): CheckpointParts {
    if (this.#parts !== undefined) return this.#parts;
    throw new AppError("bad-request", "this agent has no object store for checkpoints", {
      hint: 'Set store = "file:///…" under [checkpoint] in its configuration and restart it.',
    });
  }
}
