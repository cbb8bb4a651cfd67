/**
 * A drill: restores a checkpoint aside, by the very code that a restore runs, and proves that it came back. Then the base is
 * verified, and it is known how long a restore takes. Nothing but a drill tells that a checkpoint can be restored.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf, must } from "@patina/base";
import {
  chainBytes,
  condemn,
  DATABASE_FILE,
  type Manifest,
  type ObjectStore,
  type Proof,
  readChain,
  recordProof,
  restoreDataDir,
  unpackHere,
  verifyCheckpoint,
} from "@patina/checkpoint";
import { compareSample } from "@patina/store";
import { adoptChain } from "../adopt-chain.js";
import { removeGently } from "../remove-gently.js";

export interface Drill {
  readonly objects: ObjectStore;
  readonly cluster: string;
  /** An id, `latest`, or a time. */
  readonly which: string;
  /** Beside which it restores: on a file system with room for a copy. */
  readonly nodeDir: string;
  readonly nodeId: string;
  /** The live database. */
  readonly livePath: string;
  readonly monotonicMs: () => number;
}

/** Rows of each table that are compared with the live copy. */
const SAMPLE_PER_TABLE = 200;

/**
 * Answers what it recorded in the store. Throws `disk-full` before anything is fetched, and `checkpoint-damaged` when what comes
 * back is not what was taken: then every damaged object of it is marked, so that no later base counts on one.
 */
export async function drill(what: Drill): Promise<Proof> {
  try {
    return await restoreAside(what);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "checkpoint-damaged") await condemnDamaged(what, thrown);
    throw thrown;
  }
}

/** What the drill found is thrown in any case, also when it cannot be marked. */
async function condemnDamaged({ objects, cluster, which }: Drill, why: AppError): Promise<void> {
  try {
    const { findings, spared } = await verifyCheckpoint(objects, cluster, which, { data: true });
    await condemn(objects, cluster, [...findings, ...spared]);
  } catch (thrown) {
    throw new AppError(why.code, `${why.message}; and it could not be marked: ${messageOf(thrown)}`, {
      ...(why.hint === undefined ? {} : { hint: why.hint }),
      details: why.details,
      cause: thrown,
    });
  }
}

async function restoreAside(what: Drill): Promise<Proof> {
  const { objects, cluster, nodeDir, nodeId, livePath, monotonicMs } = what;
  const beganMs = monotonicMs();
  const chain = await readChain(objects, cluster, what.which);
  const aside = await mkdtemp(`${nodeDir}.drill-`);
  const restored = join(aside, "node");
  try {
    await restoreDataDir({
      objects,
      chain,
      dataDir: restored,
      replace: false,
      quarantineName: "old",
      unpack: unpackHere,
      prepare: async (image, deltas) => adoptChain(image, chain, deltas, undefined),
    });
    const tookMs = Math.round(monotonicMs() - beganMs);
    const sampled = compare(join(restored, DATABASE_FILE), livePath, chain);
    const proof = { ...factsOf(chain), cluster, by: nodeId, tookMs, sampled, atMs: Math.floor(await objects.now()) };
    await recordProof(objects, proof);
    return proof;
  } finally {
    await removeGently(join(restored, DATABASE_FILE));
    await rm(aside, { recursive: true, force: true });
  }
}

function factsOf(chain: readonly Manifest[]): Pick<Proof, "fmt" | "base" | "checkpoint" | "bytes" | "rows"> {
  const base = must(chain[0], "a base");
  const newest = must(chain.at(-1), "a checkpoint");
  const bytes = chainBytes(chain);
  const counts = Object.values(newest.tables).map(({ rows: count }) => count);
  // A delta does not count the rows of the whole.
  const rows = counts.reduce((sum, count) => (sum === null || count === null ? null : sum + count), 0);
  return { fmt: 1, base: base.id, checkpoint: newest.id, bytes, rows };
}

function compare(restored: string, live: string, chain: readonly Manifest[]): number {
  const { compared, differing } = compareSample(restored, live, SAMPLE_PER_TABLE);
  if (differing.length === 0) return compared;
  const id = must(chain.at(-1), "a checkpoint").id;
  throw new AppError(
    "checkpoint-damaged",
    `${id} and this agent have other rows of one version in ${differing.join(", ")}`,
    {
      hint: "Run `patina verify --scrub` on the cluster: either the checkpoint or this agent's file was changed.",
    },
  );
}
