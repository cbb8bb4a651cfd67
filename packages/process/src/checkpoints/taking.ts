/** Takes checkpoints of the cluster from this agent's own copy: a base of everything, or a delta after an earlier one. */
import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError, parseHoldings } from "@patina/base";
import {
  assertRoom,
  type CheckpointFacts,
  isAhead,
  type Level,
  LEVELS,
  listCheckpoints,
  type Manifest,
  manifestKey,
  type ObjectStore,
  parseManifest,
  partsOfId,
  takeCheckpoint,
} from "@patina/checkpoint";
import type { Copier } from "@patina/runtime";
import type { ImageFacts, SqliteStore } from "@patina/store";
import { readAside } from "./read-aside.js";
import { removeGently } from "./remove-gently.js";

const IMAGE_FILE = "checkpoint-image.db";
const DELTA_FILE = "checkpoint-delta";

export interface TakingOptions {
  readonly objects: ObjectStore;
  readonly store: SqliteStore;
  readonly copier: Copier;
  readonly nodeDir: string;
  readonly databasePath: string;
  readonly nodeId: string;
  readonly version: string;
  /** While nothing changes, a delta is taken this often. */
  readonly heartbeatMs: number;
  /** Told of a checkpoint that the members know of and the store has no more. */
  readonly onVanished: (id: string) => void;
}

/**
 * `unchanged`: the newest checkpoint says all there is. `behind`: it says more than this copy holds. `base`: no delta can be
 * taken after it, a base must.
 */
export type Untaken = "unchanged" | "behind" | "base";

export class Taking {
  readonly #options: TakingOptions;
  #isTaking = false;
  /** The parent last read, so that it is not read again for each delta. */
  #parent: Manifest | undefined;

  constructor(options: TakingOptions) {
    this.#options = options;
  }

  /** Throws `too-many` while one is being taken, `not-ready` while this copy is not whole, and `disk-full`. */
  async base(): Promise<Manifest> {
    return this.#alone(IMAGE_FILE, async (path) => {
      await assertRoom(this.#options.nodeDir, this.#liveBytes());
      const facts = await this.#options.copier.takeImage(path);
      if (!facts.isWhole) {
        throw new AppError("not-ready", "this agent is catching up: its state is not whole", {
          hint: "Take the checkpoint on another agent, or again in a moment.",
        });
      }
      return this.#take(path, facts, "base");
    });
  }

  /** An image is about as large as what it is of. */
  #liveBytes(): number {
    const { databasePath } = this.#options;
    const sizes = [databasePath, `${databasePath}-wal`].map(
      (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  /** A delta since the newest checkpoint of this level or a longer one. Throws `too-many` and `disk-full` as `base` does. */
  async delta(level: Level): Promise<Manifest | Untaken> {
    return this.#alone(DELTA_FILE, async (path) => {
      const { copier, objects, heartbeatMs, nodeDir } = this.#options;
      await assertRoom(nodeDir, 0);
      const nowMs = await objects.now();
      const parent = await this.#parentOf(level, nowMs);
      if (parent === undefined) return "base";
      const delta = await copier.takeDelta(parent.holdings, path);
      if (delta.kind === "behind") return "behind";
      // What a longer level's parent is too old for, the newest of all may do.
      if (delta.kind !== "delta") return level === "d0" ? "base" : this.#shorter(path, nowMs);
      const isEqual = delta.facts.digest === parent.digest;
      if (isEqual && level === "d0" && nowMs - parent.takenAtMs < heartbeatMs) return "unchanged";
      return (await this.#isThere(parent)) ? this.#take(path, delta.facts, level, parent) : "base";
    });
  }

  /** A store that lost what it had, a bucket that was emptied: what stands on it is worth nothing, and everything is taken anew. */
  async #isThere({ id }: Manifest): Promise<boolean> {
    const { objects, store, onVanished } = this.#options;
    if ((await objects.head(manifestKey(store.cluster.name, id))) !== undefined) return true;
    this.#parent = undefined;
    onVanished(id);
    return false;
  }

  async #shorter(path: string, nowMs: number): Promise<Manifest | Untaken> {
    await rm(path, { force: true });
    const parent = await this.#parentOf("d0", nowMs);
    if (parent === undefined) return "base";
    const delta = await this.#options.copier.takeDelta(parent.holdings, path);
    const isFit = delta.kind === "delta" && (await this.#isThere(parent));
    return isFit ? this.#take(path, delta.facts, "d0", parent) : "base";
  }

  /** The newest that is known of this level or a longer one, in this generation. After one dated ahead nothing can be taken. */
  async #parentOf(level: Level, nowMs: number): Promise<Manifest | undefined> {
    const { objects, store, onVanished } = this.#options;
    const { name, generation } = store.cluster;
    const levels = LEVELS.slice(0, LEVELS.indexOf(level) + 1);
    const isFit = (id: string): boolean => {
      const parts = partsOfId(id);
      if (parts === undefined || isAhead(parts.takenAtMs, nowMs)) return false;
      return parts.generation === generation && levels.includes(parts.level);
    };
    const noted = store.checkpoints.list().filter((note) => note.level !== "verified" && isFit(note.manifest));
    noted.sort((a, b) => a.atMs - b.atMs);
    const id = noted.at(-1)?.manifest ?? (await listCheckpoints(objects, name)).findLast((it) => isFit(it.id))?.id;
    if (id === undefined) return undefined;
    if (this.#parent?.id === id) return this.#parent;
    const bytes = await objects.get(manifestKey(name, id));
    if (bytes === undefined) onVanished(id);
    this.#parent = bytes && parseManifest(name, id, bytes);
    return this.#parent;
  }

  async #take(path: string, facts: ImageFacts, level: Level, parent?: Manifest): Promise<Manifest> {
    const { objects, store, copier, nodeId, version } = this.#options;
    const full: CheckpointFacts = {
      level,
      parent: parent?.id ?? null,
      generation: facts.generation,
      // Servers of a store differ by a moment, and no chain runs backwards.
      takenAtMs: Math.max(parent?.takenAtMs ?? 0, Math.floor(await objects.now())),
      by: { node: nodeId, origin: store.origin },
      app: version,
      schema: facts.schema,
      holdings: parseHoldings(facts.holdings),
      hlc: BigInt(facts.hlc),
      digest: facts.digest,
      tables: facts.tables,
    };
    return takeCheckpoint({ objects, cluster: store.cluster.name, path, facts: full, read: readAside(copier) });
  }

  async #alone<T>(name: string, work: (path: string) => Promise<T>): Promise<T> {
    if (this.#isTaking) {
      throw new AppError("too-many", "this agent is taking a checkpoint already", {
        hint: "Wait for it, or ask another agent.",
      });
    }
    this.#isTaking = true;
    try {
      return await withoutTrace(join(this.#options.nodeDir, name), work);
    } finally {
      this.#isTaking = false; // Also when the file could not be removed: the next one tries again.
    }
  }
}

/** Removes what a killed process was taking: it is as large as the database, which may need the room. None may be under way. */
export async function removeUntaken(nodeDir: string): Promise<void> {
  for (const name of [IMAGE_FILE, `${IMAGE_FILE}-journal`, DELTA_FILE]) await rm(join(nodeDir, name), { force: true });
}

/** Nothing is at the path when it begins, though a killed process may have left something, and nothing afterwards. */
async function withoutTrace<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  await removeGently(path);
  try {
    return await work(path);
  } finally {
    await removeGently(path);
  }
}
