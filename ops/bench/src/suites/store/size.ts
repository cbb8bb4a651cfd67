/** How large a database is after its rows were written again and again, beside bare SQLite with the same rows. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { must, type Rng } from "@patina/base";
import { AgentStore, BareDatabase, commitOne, rowsWrite, unlessBusy, WalCutter } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { type Figure, figure, figureAlone } from "../../report.js";
import type { SuiteOptions } from "../suite.js";
import { tableSizes } from "./table-sizes.js";
import { writingRate } from "./writing.js";

const ROWS = 100; // a transaction
const FULL = { rows: 100_000, updates: 300_000 };
const QUICK = { rows: 10_000, updates: 30_000 };
const GOAL = 1.15;
const SWEPT_KEYS = 500; // at a time, as agents do
const TABLES_SHOWN = 5;

export async function sizeFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const machines = new Machines(sizes.rows, rng.fork());
  const paths = { bare: join(dir, "bare.db"), steady: join(dir, "steady.db"), flood: join(dir, "flood.db") };
  const bare = new BareDatabase(paths.bare, "NORMAL");
  const [steady, flood] = [new AgentStore(paths.steady), new AgentStore(paths.flood)];
  const cutters = Object.values(paths).map((path) => new WalCutter(path));
  const [bareWal, steadyWal, floodWal] = cutters.map((wal) => ({ wal }));
  const swept = {
    ...must(steadyWal, "a log"),
    agent: { maintain: () => void unlessBusy(() => steady.store.maintain(SWEPT_KEYS)) },
  };
  const timed = { ...must(floodWal, "a log"), agent: flood };
  try {
    for (const batches of workOf(machines, sizes.updates, rng)) {
      const rows = batches.length * ROWS;
      await writingRate(must(bareWal, "a log"), rows, batches, (batch) => bare.upsert(batch));
      await writingRate(swept, rows, batches, (batch) => commitOne(steady.store, rowsWrite(batch)));
      await writingRate(timed, rows, batches, (batch) => commitOne(flood.store, rowsWrite(batch)));
    }
  } finally {
    for (const each of cutters) each.close();
    for (const each of [steady, flood, bare]) await each.close();
  }
  return figuresOf(paths, sizes);
}

const BATCHES_AT_ONCE = 100;

/** Every row once, then updates of rows drawn anew, some batches at a time. */
function* workOf(machines: Machines, updates: number, rng: Rng): Generator<Machine[][], void, void> {
  const all = [...machines.batches(ROWS)];
  while (all.length > 0) yield all.splice(0, BATCHES_AT_ONCE);
  for (let made = 0; made < updates; made += BATCHES_AT_ONCE * ROWS) {
    yield Array.from({ length: BATCHES_AT_ONCE }, () => {
      return Array.from({ length: ROWS }, () => machines.change(rng.below(machines.count)));
    });
  }
}

function figuresOf(paths: Record<"bare" | "steady" | "flood", string>, sizes: typeof FULL): Figure[] {
  const after = `after ${sizes.updates / 1000}k updates of ${sizes.rows / 1000}k rows`;
  const bytes = (name: keyof typeof paths): number => statSync(paths[name]).size;
  const mib = (name: string, value: number): Figure => figure({ name, unit: "MiB", values: [value / 2 ** 20] });
  const times = (name: keyof typeof paths): number[] => [bytes(name) / bytes("bare")];
  const partsOf = (name: keyof typeof paths): Figure[] => {
    const tables = [...tableSizes(paths[name])];
    const used = tables.reduce((sum, [, size]) => sum + size, 0);
    const parts = [...tables.slice(0, TABLES_SHOWN), ["pages of no table", bytes(name) - used] as const];
    return parts.map(([part, size]) => mib(`  ${name}: ${part}`, size));
  };
  return [
    mib(`bare database ${after}`, bytes("bare")),
    ...partsOf("bare"),
    mib(`database ${after}`, bytes("steady")),
    ...partsOf("steady"),
    figureAlone({ name: "database size, housekeeping keeps up", unit: "× bare", values: times("steady") }, { of: "value", atMost: GOAL }), // prettier-ignore
    figure({ name: "database size, as fast as it writes", unit: "× bare", values: times("flood") }),
    ...partsOf("flood"),
  ];
}
