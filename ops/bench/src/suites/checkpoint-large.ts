/**
 * A region of a gigabyte, as an agent runs it: what taking a base does to those who write meanwhile, what a delta of a hundredth
 * of the rows costs beside it, and how fast a lost node is back, by phase, beside the bare work on the same bytes.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { must, type NodeId, type Rng, type RowWrite } from "@patina/base";
import { listCheckpoints, type Manifest, openObjectStore, type Progress, readChain } from "@patina/checkpoint";
import { beginFrom } from "@patina/process";
import { DataDir, newDbId, systemNow } from "@patina/runtime";
import { Cluster, type Member } from "@patina/scenarios";
import { SqliteStore } from "@patina/store";
import Database from "better-sqlite3";
import { placesOnLoopback } from "../loopback.js";
import { configText } from "../machines.js";
import { type Figure, figure, figureAlone } from "../report.js";
import { percentile, secondsOf } from "../rounds.js";
import { unpackDurably } from "./checkpoint-floor.js";
import type { SuiteOptions } from "./suite.js";

const FULL = { rows: 1_700_000, writesMs: 20_000 };
const QUICK = { rows: 50_000, writesMs: 4000 };
const ROWS_PER_COMMIT = 500;
const WRITES_PER_SECOND = 200;
const MIB = 2 ** 20;
const WHAT = {
  fetch: "fetch and unpack",
  check: "hash the image",
  prepare: "quick_check, scrub, digests, deltas",
  sync: "flush",
} as const;

export async function checkpointLargeSuite({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { rows, writesMs } = isQuick ? QUICK : FULL;
  const cluster = await Cluster.create(await placesOnLoopback(1), 1, dir, true);
  const member = cluster.member(0);
  await prefill(cluster, member, rows, rng);
  const bytes = statSync(databaseOf(member)).size;
  try {
    await cluster.start();
    await firstBase(dir);
    const quiet = await latencies(member, writesMs, async () => delay(writesMs));
    const rssBefore = member.rssBytes();
    let rssPeak = rssBefore;
    const watching = setInterval(() => (rssPeak = Math.max(rssPeak, member.rssBytes())), 50);
    let base: Manifest | undefined;
    let tookS = 0;
    const busy = await latencies(member, writesMs, async () => {
      const take = async (): Promise<Manifest> => {
        return member.client.request("/v1/checkpoints", { method: "POST", timeoutMs: 600_000 });
      };
      tookS = await secondsOf(async () => (base = await take()));
    });
    clearInterval(watching);
    const delta = await deltaOf(member, dir, rows, rng);
    const baseStored = storedBytes(must(base, "a base"));
    const changed = storedBytes(delta);
    await member.kill();
    return [
      figure({ name: `database of ${rows.toLocaleString("en-US")} rows`, unit: "MiB", values: [bytes / MIB] }),
      figure({ name: "taking a base under 200 writes/s", unit: "s", values: [tookS] }),
      figure({ name: "write p99 before", unit: "ms", values: [percentile(quiet, 0.99)] }),
      figureAlone({ name: "write p99 meanwhile", unit: "ms", values: [percentile(busy, 0.99)] }, { of: "value", atMost: 20 }),
      figureAlone({ name: "memory grown meanwhile", unit: "MiB", values: [(rssPeak - rssBefore) / MIB] }, { of: "value", atMost: 256 }),
      figure({ name: "base, as stored", unit: "MiB", values: [baseStored / MIB] }),
      figureAlone({ name: "delta of 1 % of the rows, of a base", unit: "%", values: [(100 * changed) / baseStored] }, { of: "value", atMost: 0.1 }),
      ...(await restoreFigures(dir)),
    ]; // prettier-ignore
  } finally {
    await member.kill();
  }
}

/** Rows as their agent would have them, put there before it runs. */
async function prefill(cluster: Cluster, member: Member, rows: number, rng: Rng): Promise<void> {
  await cluster.start(); // It makes its database.
  await member.stop();
  const node: NodeId = must(DataDir.nodeIdIn(join(member.dir, "disk", "node")), "a node");
  const db = new Database(databaseOf(member), { readonly: true });
  const schemaSql = db.prepare("SELECT value FROM _patina_meta WHERE key = 'schema'").pluck().get() as string;
  db.close();
  const store = new SqliteStore({ path: databaseOf(member), cluster: { name: "iad", generation: 1 }, node, newDbId, schemaSql }); // prettier-ignore
  for (let at = 0; at < rows; at += ROWS_PER_COMMIT) {
    const batch = Array.from({ length: Math.min(ROWS_PER_COMMIT, rows - at) }, (_, i) => machine(at + i, rng));
    const [outcome] = store.commit([{ kind: "rows", rows: batch }], systemNow().wallMs);
    if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  }
  store.close();
}

function machine(n: number, rng: Rng): RowWrite {
  const row = { id: `machine-${n}`, app: `app-${n % 80_000}`, worker: `worker-${n % 200}`, state: "started" };
  return { table: "machines", values: { ...row, address: configText(rng), updated_ms: BigInt(rng.u32()) } };
}

/** Milliseconds that each of a steady stream of writes took, for as long as `during` lasts and `ms` at least. */
async function latencies(member: Member, ms: number, during: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  const under = new Set<Promise<void>>();
  let isOver = false;
  const ending = Promise.all([during(), delay(ms)]).finally(() => (isOver = true));
  const { monotonicMs: began } = systemNow();
  for (let n = 0; !isOver; n++) {
    const it: Promise<void> = writeOne(member, n).then((tookMs) => void taken.push(tookMs)).finally(() => under.delete(it)); // prettier-ignore
    under.add(it);
    await delay(Math.max(0, began + ((n + 1) * 1000) / WRITES_PER_SECOND - systemNow().monotonicMs));
  }
  await Promise.all([ending, ...under]);
  return taken;
}

async function writeOne({ client }: Member, n: number): Promise<number> {
  const { monotonicMs } = systemNow();
  await client.request("/v1/tables/machines/rows", {
    method: "PUT",
    body: { id: `written-${n % 1000}`, app: "bench", cpus: 1 + (n % 7), updated_ms: n },
  });
  return systemNow().monotonicMs - monotonicMs;
}

/** The agent takes one unasked, since there is none. */
async function firstBase(dir: string): Promise<void> {
  const objects = openObjectStore(storeUrl(dir), { wallMs: () => systemNow().wallMs });
  while ((await listCheckpoints(objects, "iad")).length === 0) await delay(500);
}

/** Changes a hundredth of the rows, and answers the delta that the agent then takes by itself. */
async function deltaOf(member: Member, dir: string, rows: number, rng: Rng): Promise<Manifest> {
  const changed = Math.floor(rows / 100);
  const objects = openObjectStore(storeUrl(dir), { wallMs: () => systemNow().wallMs });
  for (let at = 0; at < changed; at += ROWS_PER_COMMIT) {
    const updates = Array.from({ length: Math.min(ROWS_PER_COMMIT, changed - at) }, () => {
      return ["UPDATE machines SET state = 'stopped', memory_mb = ? WHERE id = ?", [rng.below(999), `machine-${rng.below(rows)}`]]; // prettier-ignore
    });
    await member.client.transact(updates);
  }
  const digest = async (): Promise<string> => (await member.digest()).digest;
  for (;;) {
    const newest = must((await readChain(objects, "iad", "latest")).at(-1), "a checkpoint");
    if (newest.level !== "base" && newest.digest === (await digest())) return newest;
    await delay(200);
  }
}

/** A lost node's way back, by phase. */
async function restoreFigures(dir: string): Promise<Figure[]> {
  const objects = openObjectStore(storeUrl(dir), { wallMs: () => systemNow().wallMs });
  const chain = await readChain(objects, "iad", "latest");
  const bytes = chain.reduce((sum, { content }) => sum + content.bytes, 0);
  const base = must(chain[0], "a base");
  const get = async (index: number): Promise<Uint8Array> => {
    const { id } = must(base.content.chunks[index], "a chunk");
    return must(await objects.get(`v1/${base.cluster}/img/${id.slice(0, 2)}/${id}`), "a chunk");
  };
  const floorS = await secondsOf(() => unpackDurably(base, get, join(dir, "floor")));
  const phases = new Map<Progress["phase"], number>();
  let [lastMs, now]: [number, Progress["phase"]] = [systemNow().monotonicMs, "fetch"];
  const began = lastMs;
  await beginFrom({
    objects,
    chain,
    nodeDir: join(dir, "restored"),
    say: () => undefined,
    onProgress: ({ phase }) => {
      const nowMs = systemNow().monotonicMs;
      phases.set(now, (phases.get(now) ?? 0) + nowMs - lastMs);
      [lastMs, now] = [nowMs, phase];
    },
  });
  const fetchS = (phases.get("fetch") ?? 0) / 1000;
  const floor = {
    name: "bare download, unpack and disk write",
    unit: "MB/s",
    values: [base.content.bytes / 1e6 / floorS],
  };
  const fetch = { name: "restore: fetch, unpack, check, write", unit: "MB/s", values: [bytes / 1e6 / fetchS] };
  const whole = (systemNow().monotonicMs - began) / 1000;
  return [
    figure(floor),
    figure(fetch, { versus: floor, better: "more", goal: { of: "ratio", atLeast: 0.5 } }),
    ...(["fetch", "check", "prepare", "sync"] as const).map((phase) =>
      figure({ name: `restore: ${WHAT[phase]}`, unit: "s", values: [(phases.get(phase) ?? 0) / 1000] }),
    ),
    figure({ name: "restore, every check and the deltas", unit: "s", values: [whole] }),
  ];
}

function storedBytes({ content }: Manifest): number {
  return content.chunks.reduce((sum, { stored }) => sum + stored, 0);
}

function databaseOf(member: Member): string {
  return join(member.dir, "disk", "node", "state.db");
}

function storeUrl(dir: string): string {
  return pathToFileURL(join(dir, "checkpoints")).href;
}
