/** What is wrong with this agent's copy, asked of its store and its maintenance thread. */
import { type BucketDocument, type IntegrityPort, PatinaClient, type RepairReport } from "@patina/api";
import { AppError, messageOf } from "@patina/base";
import type { AgentRuntime, Maintenance } from "@patina/runtime";
import type { Bucket, BucketRow } from "@patina/store";

/** Reading a bucket is reading a table. */
const BUCKET_TIMEOUT_MS = 60_000;
/** Writes go on meanwhile, and each may change what the rows of the bucket add up to. */
const REBASES_MAX = 5;

export class Integrity implements IntegrityPort {
  readonly #runtime: AgentRuntime;
  readonly #maintenance: Maintenance;
  #isScrubbing = false;

  constructor(runtime: AgentRuntime, maintenance: Maintenance) {
    this.#runtime = runtime;
    this.#maintenance = maintenance;
  }

  quarantined(...page: Parameters<IntegrityPort["quarantined"]>): ReturnType<IntegrityPort["quarantined"]> {
    return this.#runtime.store.quarantined(...page);
  }

  async retryQuarantined(): ReturnType<IntegrityPort["retryQuarantined"]> {
    return this.#runtime.retryQuarantined();
  }

  discardQuarantined(...change: Parameters<IntegrityPort["discardQuarantined"]>): boolean {
    return this.#runtime.discardQuarantined(...change);
  }

  /** One at a time: it reads the whole file, and keeps the write-ahead log from starting over while it reads a table. */
  async scrub(): ReturnType<IntegrityPort["scrub"]> {
    if (this.#isScrubbing) {
      throw new AppError("too-many", "this agent is scrubbing already", { hint: "Wait for it, and ask again." });
    }
    this.#isScrubbing = true;
    try {
      return await this.#maintenance.scrub();
    } finally {
      this.#isScrubbing = false;
    }
  }

  async bucket(table: string, bucket: number): Promise<BucketDocument> {
    return documentOf(await this.#maintenance.readBucket(table, bucket));
  }

  async repair(table: string, bucket: number): Promise<RepairReport> {
    const { from, rows: theirs } = await this.#fetch(table, bucket);
    const mine = await this.#maintenance.readBucket(table, bucket);
    const { rows, unresolved } = this.#runtime.repair(table, mine.rows, theirs);
    const sound = unresolved === 0 && (await this.#settleDigest(table, bucket));
    return { repaired: rows.length, unresolved, from, sound };
  }

  /** Every row is right now: if the digest still says otherwise, it is the digest that is wrong. */
  async #settleDigest(table: string, bucket: number): Promise<boolean> {
    for (let tries = 0; tries < REBASES_MAX; tries++) {
      const after = await this.#maintenance.readBucket(table, bucket);
      if (after.expected === after.found) return true;
      if (this.#runtime.store.repairs.rebase(table, bucket, after)) return true;
    }
    return false;
  }

  /** The bucket as the first peer that answers has it. */
  async #fetch(table: string, bucket: number): Promise<{ from: string; rows: BucketRow[] }> {
    const tried: string[] = [];
    for (const { state, meta, nodeId } of this.#runtime.members()) {
      if (state !== "alive") continue;
      try {
        const client = new PatinaClient(meta.api, { timeoutMs: BUCKET_TIMEOUT_MS });
        const path = `/v1/tables/${encodeURIComponent(table)}/buckets/${bucket}`;
        return { from: nodeId, rows: rowsOf(await client.request<BucketDocument>(path)) };
      } catch (thrown) {
        tried.push(`${meta.api}: ${messageOf(thrown)}`);
      }
    }
    throw new AppError("region-unreachable", ["no peer can help", ...tried].join("\n  "), {
      hint: "A repair needs another agent of the cluster; with none left, restore from a checkpoint.",
    });
  }
}

function documentOf({ rows }: Bucket): BucketDocument {
  return {
    rows: rows.map(({ key, state, stamp, isSound }) => ({
      key: Buffer.from(key).toString("base64"),
      state: Buffer.from(state).toString("base64"),
      stamp: stamp === undefined ? null : { ...stamp, hlc: String(stamp.hlc) },
      is_sound: isSound,
    })),
  };
}

function rowsOf({ rows }: BucketDocument): BucketRow[] {
  return rows.map(({ key, state, stamp, is_sound: isSound }) => ({
    key: Buffer.from(key, "base64"),
    state: Buffer.from(state, "base64"),
    stamp: stamp === null ? undefined : { ...stamp, hlc: BigInt(stamp.hlc) },
    isSound,
  }));
}
