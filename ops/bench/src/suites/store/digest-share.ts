/** What the digest's upkeep is of a write: adding its rows' hashes to the sums, and putting the sums on their page. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { encodeKey, rowHash, Digest } from "@patina/store";
import Database from "better-sqlite3";
import { AgentStore, commitOne, loadStore, openStore, rowsWrite, WalCutter } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { type Figure, figure, figureAlone, type Measured } from "../../report.js";
import { interleave } from "../../rounds.js";
import type { SuiteOptions } from "../suite.js";
import { writingRate } from "./writing.js";

const FULL = { rows: 20_000, transactions: 100, rounds: 5 };
const QUICK = { rows: 2000, transactions: 15, rounds: 3 };
const GOAL_PERCENT = 3;
const ROW_BYTES = 400; // as the rows of all suites have, about

export async function digestShareFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const machines = new Machines(sizes.rows, rng.fork());
  const [path, scratchPath] = [join(dir, "written.db"), join(dir, "digests.db")];
  const filled = openStore(path);
  loadStore(filled, machines);
  filled.close();
  copyFileSync(path, scratchPath);
  const [agent, wal, db] = [new AgentStore(path), new WalCutter(path), new Database(scratchPath)];
  const digest = new Digest(db);
  try {
    const batchesOf = (size: number): Machine[][] => {
      return Array.from({ length: sizes.transactions }, () => machines.draw(size).map((index) => machines.change(index))); // prettier-ignore
    };
    const write = (size: number) => async (): Promise<number> => {
      const commit = (batch: Machine[]): unknown => commitOne(agent.store, rowsWrite(batch));
      return 1e6 / (await writingRate({ agent, wal }, size * sizes.transactions, batchesOf(size), commit));
    };
    const upkeep = (size: number) => () => upkeepMicroseconds(db, digest, batchesOf(size).map(keysOf)) / size;
    const hash = (): number => hashMicroseconds(batchesOf(100).flatMap(keysOf));
    const turns = { large: write(100), small: write(1), largeUpkeep: upkeep(100), smallUpkeep: upkeep(1), hash };
    return figuresOf(await interleave(turns, { rounds: sizes.rounds, rng }));
  } finally {
    db.close();
    wal.close();
    await agent.close();
  }
}

const keysOf = (batch: readonly Machine[]): Uint8Array[] => {
  return batch.map(({ write }) => encodeKey([write.values["id"] ?? null]));
};

/** Microseconds for a transaction, of those inside it: its begin and its commit are not the digest's. */
function upkeepMicroseconds(db: Database.Database, digest: Digest, batches: readonly Uint8Array[][]): number {
  let ms = 0;
  for (const [i, keys] of batches.entries()) {
    db.exec("BEGIN IMMEDIATE");
    const startMs = performance.now();
    for (const key of keys) digest.add("machines", key, 0x1234_5678_9abcn + BigInt(i));
    digest.flush(db);
    ms += performance.now() - startMs;
    db.exec("COMMIT");
  }
  return (ms * 1000) / batches.length;
}

function hashMicroseconds(keys: readonly Uint8Array[]): number {
  const state = new Uint8Array(ROW_BYTES).fill(97);
  const stamp = { epoch: 0, hlc: 117_309_440_000_000_000n, origin: "0a".repeat(24), version: 1 };
  const startMs = performance.now();
  for (const [version, key] of keys.entries()) rowHash("machines", key, { ...stamp, version }, state);
  return ((performance.now() - startMs) * 1000) / keys.length;
}

type Contender = "large" | "small" | "largeUpkeep" | "smallUpkeep" | "hash";

function figuresOf(results: Record<Contender, readonly number[]>): Figure[] {
  const perRow = (name: string, values: readonly number[]): Measured => ({ name, unit: "µs/row", values });
  const share = (name: string, part: readonly number[], whole: readonly number[]): Measured => {
    return { name, unit: "%", values: part.map((value, round) => (100 * value) / (whole[round] ?? Number.NaN)) };
  };
  const { large, small, largeUpkeep, smallUpkeep, hash } = results;
  return [
    figure(perRow("a whole write, 100 rows", large)),
    figure(perRow("a whole write, 1 row", small)),
    figureAlone(share("digest upkeep, share of a 100-row write", largeUpkeep, large), { of: "value", atMost: GOAL_PERCENT }), // prettier-ignore
    figureAlone(share("digest upkeep, share of a 1-row write", smallUpkeep, small), { of: "value", atMost: GOAL_PERCENT }), // prettier-ignore
    figure(perRow("rowHash, before any digest", hash)),
    figure(share("rowHash, share of a 100-row write", hash, large)),
  ];
}
