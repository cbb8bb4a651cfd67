/**
 * Writes against bare SQLite doing the same upserts of the same rows: what the clock, the digest, the captured bytes and
 * the holdings cost. A write is compared at its own durability: local ones at FULL, remote ones at NORMAL.
 *
 * Stores run as agents run them, with a thread that cuts the log. A bare peer comes twice: as better-sqlite3 opens it,
 * where commits cut the log, which the goals are about; and with a thread like the stores', to judge by.
 */
import { assert, type Change, must, type Rng } from "@patina/base";
import { commitOne, rowsWrite, statementsWrite, unlessBusy, type WalCutter } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { type Comparison, type Figure, figure, type Measured } from "../../report.js";
import { interleave } from "../../rounds.js";
import { type Databases, openDatabases } from "./databases.js";
import { writingRate } from "./writing.js";

const ROWS = 100; // a transaction

export interface ThroughputSizes {
  readonly rows: number;
  readonly transactions: number;
  readonly singles: number;
  readonly rounds: number;
}

/** What one round writes. The three sets do not overlap, so contenders may come in any order. */
interface Workload {
  readonly changed: readonly (readonly Machine[])[];
  /** `changed`, as another node wrote it. */
  readonly remote: readonly Change[];
  readonly unchanged: readonly (readonly Machine[])[];
  readonly singles: readonly Machine[];
}

/** By contender, rows per second in each round. */
export type Rates = Readonly<Record<keyof ReturnType<typeof turnsOf>, readonly number[]>>;

export async function measureThroughput(dir: string, sizes: ThroughputSizes, rng: Rng): Promise<Rates> {
  const machines = new Machines(sizes.rows, rng.fork());
  const databases = await openDatabases(dir, machines);
  try {
    let work: Workload | undefined;
    const turns = turnsOf(databases, sizes, () => must(work, "a prepared round"));
    const prepare = (): void => void (work = nextWorkload(machines, databases, sizes));
    return await interleave(turns, { rounds: sizes.rounds, rng, prepare });
  } finally {
    await databases.close();
  }
}

function nextWorkload(machines: Machines, { source }: Databases, sizes: ThroughputSizes): Workload {
  const { transactions, singles } = sizes;
  const perSet = transactions * ROWS;
  const drawn = machines.draw(2 * perSet + singles);
  const batches = (from: number, machineOf: (index: number) => Machine): Machine[][] =>
    Array.from({ length: transactions }, (_, i) => {
      return drawn.slice(from + i * ROWS, from + (i + 1) * ROWS).map(machineOf);
    });
  const changed = batches(0, (index) => machines.change(index));
  const remote = changed.map((batch) => must(commitOne(source.store, rowsWrite(batch)).change, "a change"));
  source.wal.cut();
  return {
    changed,
    remote,
    unchanged: batches(perSet, (index) => machines.at(index)),
    singles: drawn.slice(2 * perSet).map((index) => machines.change(index)),
  };
}

function turnsOf(databases: Databases, { transactions, singles }: ThroughputSizes, work: () => Workload) {
  const { bareFull, bareNormal, threadFull, threadNormal, objects, statements, remote } = databases;
  const rows = transactions * ROWS;
  type Batch = readonly Machine[];
  type Side = { readonly wal: WalCutter; readonly agent?: { maintain(): void } };
  const changed = (side: Side, write: (batch: Batch) => unknown) => () =>
    writingRate(side, rows, work().changed, write);
  const unchanged = (side: Side, write: (batch: Batch) => unknown) => () =>
    writingRate(side, rows, work().unchanged, write);
  const single = (side: Side, write: (machine: Machine) => unknown) => () =>
    writingRate(side, singles, work().singles, write);
  return {
    bareFull: changed(bareFull, (batch) => bareFull.db.upsert(batch)),
    bareNormal: changed(bareNormal, (batch) => bareNormal.db.upsert(batch)),
    threadFull: changed(threadFull, (batch) => threadFull.db.upsert(batch)),
    threadNormal: changed(threadNormal, (batch) => threadNormal.db.upsert(batch)),
    bareUnchanged: unchanged(bareFull, (batch) => bareFull.db.upsert(batch)),
    bareSingle: single(bareFull, (machine) => bareFull.db.upsert([machine])),
    objects: changed(objects, (batch) => commitOne(objects.store, rowsWrite(batch))),
    statements: changed(statements, (batch) => commitOne(statements.store, statementsWrite(batch))),
    apply: () => writingRate(remote, rows, work().remote, (change) => applyOne(remote, change)),
    unchanged: unchanged(objects, (batch) => {
      const { change } = commitOne(objects.store, rowsWrite(batch));
      assert(change === undefined, "nothing changed");
    }),
    single: single(objects, (machine) => commitOne(objects.store, rowsWrite([machine]))),
  };
}

/** A peer's change, as it arrives. One that was not applied must not look fast. */
function applyOne({ store }: Databases["remote"], change: Change): void {
  const { applied, quarantined } = unlessBusy(() => store.apply([change]));
  assert(applied === 1 && quarantined.length === 0, "every change is new and can be applied");
}

const GOALS = { objects: 0.85, apply: 0.85, statements: 0.6, unchanged: 3 } as const;

export function throughputFigures(rates: Rates): Figure[] {
  const rate = (name: string, values: readonly number[]): Measured => ({ name, unit: "rows/s", values });
  const bareFull = rate("bare upsert, 100 a transaction, FULL", rates.bareFull);
  const bareNormal = rate("bare upsert, 100 a transaction, NORMAL", rates.bareNormal);
  const threadFull = rate("bare upsert, log cut by a thread, FULL", rates.threadFull);
  const threadNormal = rate("bare upsert, log cut by a thread, NORMAL", rates.threadNormal);
  const bareUnchanged = rate("bare upsert of unchanged rows, FULL", rates.bareUnchanged);
  const bareSingle = rate("bare upsert, 1 a transaction, FULL", rates.bareSingle);
  const against = (versus: Measured, atLeast?: number): Comparison => {
    return { versus, better: "more", ...(atLeast === undefined ? {} : { goal: { of: "ratio", atLeast } }) };
  };
  const objects = rate("objects, 100 a transaction", rates.objects);
  const statements = rate("SQL statements, 100 a transaction", rates.statements);
  const apply = rate("remote apply, 100 a transaction", rates.apply);
  const unchanged = rate("unchanged objects, 100 a transaction", rates.unchanged);
  return [
    ...[bareFull, threadFull, bareNormal, threadNormal].map((bare) => figure(bare)),
    figure(objects, against(bareFull, GOALS.objects)),
    figure(objects, against(threadFull)),
    figure(statements, against(bareFull, GOALS.statements)),
    figure(statements, against(threadFull)),
    figure(apply, against(bareNormal, GOALS.apply)),
    figure(apply, against(threadNormal)),
    figure(bareUnchanged),
    figure(unchanged, against(bareUnchanged, GOALS.unchanged)),
    figure(unchanged, against(bareFull)),
    figure(bareSingle),
    figure(rate("objects, 1 a transaction", rates.single), against(bareSingle)),
  ];
}
