/**
 * The store against bare SQLite doing the same upserts of the same rows: what the clock, the digest, the captured
 * bytes and the holdings cost. A write is compared at its own durability: local ones at FULL, remote ones at NORMAL.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { assert, type Change, must, Ranges, type Rng } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import {
  BareDatabase,
  BareReader,
  commitOne,
  loadStore,
  openStore,
  rowsWrite,
  statementsWrite,
  WalCutter,
} from "../databases.js";
import { type Machine, Machines } from "../machines.js";
import { type Comparison, type Figure, figure } from "../report.js";
import { interleave, perSecond } from "../rounds.js";
import type { SuiteOptions } from "./suite.js";

const ROWS = 100; // a transaction

interface Sizes {
  readonly rows: number;
  readonly transactions: number;
  readonly singles: number;
  readonly rounds: number;
}

const FULL: Sizes = { rows: 100_000, transactions: 100, singles: 500, rounds: 5 };
const QUICK: Sizes = { rows: 10_000, transactions: 15, singles: 100, rounds: 3 };

/** What one round writes. The three sets do not overlap, so contenders may come in any order. */
interface Workload {
  readonly changed: readonly (readonly Machine[])[];
  /** `changed`, as another node wrote it. */
  readonly remote: readonly Change[];
  readonly unchanged: readonly (readonly Machine[])[];
  readonly singles: readonly Machine[];
  /** Versions to be read back. */
  readonly versions: readonly number[];
}

export async function storeSuite({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const databases = openDatabases(dir, new Machines(sizes.rows, rng.fork()));
  try {
    let work: Workload | undefined;
    const turns = turnsOf(databases, sizes, () => must(work, "a prepared round"));
    const prepare = (): void => void (work = nextWorkload(databases, sizes, rng));
    return figuresOf(await interleave(turns, { rounds: sizes.rounds, rng, prepare }));
  } finally {
    databases.close();
  }
}

type Databases = ReturnType<typeof openDatabases>;

/** One store is filled; the others begin as copies of its file, and become nodes of their own by opening it. */
function openDatabases(dir: string, machines: Machines) {
  const fileOf = (name: string): string => join(dir, `${name}.db`);
  const filled = openStore(fileOf("source"));
  const origin = filled.origin;
  loadStore(filled, machines);
  filled.close();
  const copies = ["objects", "statements", "remote", "archive"];
  for (const name of copies) copyFileSync(fileOf("source"), fileOf(name));
  const [bareFull, bareNormal] = [
    new BareDatabase(fileOf("bare-full"), "FULL"),
    new BareDatabase(fileOf("bare-normal"), "NORMAL"),
  ];
  for (const bare of [bareFull, bareNormal]) bare.load(machines);
  const stores = {
    source: openStore(fileOf("source")),
    objects: openStore(fileOf("objects")),
    statements: openStore(fileOf("statements")),
    remote: openStore(fileOf("remote")),
    archive: openStore(fileOf("archive")),
  };
  const reader = new BareReader(fileOf("archive"));
  const wals = {
    bareFull: new WalCutter(fileOf("bare-full")),
    bareNormal: new WalCutter(fileOf("bare-normal")),
    objects: new WalCutter(fileOf("objects")),
    statements: new WalCutter(fileOf("statements")),
    remote: new WalCutter(fileOf("remote")),
  };
  const all = [reader, ...Object.values(wals), ...Object.values(stores), bareFull, bareNormal];
  const close = (): void => all.forEach((each) => each.close());
  return { machines, origin, bareFull, bareNormal, ...stores, reader, wals, close };
}

function nextWorkload({ machines, source }: Databases, { rows, transactions, singles }: Sizes, rng: Rng): Workload {
  const perSet = transactions * ROWS;
  const drawn = machines.draw(2 * perSet + singles);
  const batches = (from: number, machineOf: (index: number) => Machine): Machine[][] =>
    Array.from({ length: transactions }, (_, i) => {
      return drawn.slice(from + i * ROWS, from + (i + 1) * ROWS).map(machineOf);
    });
  const changed = batches(0, (index) => machines.change(index));
  return {
    changed,
    remote: changed.map((batch) => must(commitOne(source, rowsWrite(batch)).change, "a change")),
    unchanged: batches(perSet, (index) => machines.at(index)),
    singles: drawn.slice(2 * perSet).map((index) => machines.change(index)),
    versions: Array.from({ length: transactions }, () => 1 + rng.below(rows / ROWS)),
  };
}

type Turns = ReturnType<typeof turnsOf>;

/** Every turn answers in rows per second. */
function turnsOf(databases: Databases, { transactions, singles }: Sizes, work: () => Workload) {
  const { bareFull, bareNormal, objects, statements, archive, origin, reader, wals } = databases;
  const rows = transactions * ROWS;
  const over = <Item>(wal: WalCutter, count: number, items: () => readonly Item[], write: (item: Item) => unknown) => {
    return (): number => {
      wal.cut();
      return perSecond(count, () => {
        for (const item of items()) write(item);
        wal.cut();
      });
    };
  };
  const changed = (wal: WalCutter, write: (batch: readonly Machine[]) => unknown) =>
    over(wal, rows, () => work().changed, write);
  const unchanged = (wal: WalCutter, write: (batch: readonly Machine[]) => unknown) =>
    over(wal, rows, () => work().unchanged, write);
  const single = (wal: WalCutter, write: (machine: Machine) => unknown) =>
    over(wal, singles, () => work().singles, write);
  const idsOf = (version: number): string[] =>
    Array.from({ length: ROWS }, (_, i) => String(databases.machines.at((version - 1) * ROWS + i).write.values["id"]));
  const reading = (read: (version: number) => unknown) => () => perSecond(rows, () => work().versions.forEach(read));
  return {
    bareFull: changed(wals.bareFull, (batch) => bareFull.upsert(batch)),
    bareNormal: changed(wals.bareNormal, (batch) => bareNormal.upsert(batch)),
    bareUnchanged: unchanged(wals.bareFull, (batch) => bareFull.upsert(batch)),
    bareSingle: single(wals.bareFull, (machine) => bareFull.upsert([machine])),
    objects: changed(wals.objects, (batch) => commitOne(objects, rowsWrite(batch))),
    statements: changed(wals.statements, (batch) => commitOne(statements, statementsWrite(batch))),
    apply: over(wals.remote, rows, () => work().remote, (change) => applyOne(databases.remote, change)), // prettier-ignore
    unchanged: unchanged(wals.objects, (batch) => assertNoChange(commitOne(objects, rowsWrite(batch)).change)),
    single: single(wals.objects, (machine) => commitOne(objects, rowsWrite([machine]))),
    extract: reading((version) => archive.extract(origin, Ranges.of(version, version), Infinity)),
    select: reading((version) => reader.rows(idsOf(version))),
  };
}

/** A peer's change, as it arrives. One that was not applied must not look fast. */
function applyOne(store: SqliteStore, change: Change): void {
  const { applied, quarantined } = store.apply([change]);
  assert(applied === 1 && quarantined.length === 0, "every change is new and can be applied");
}

function assertNoChange(change: Change | undefined): void {
  assert(change === undefined, "nothing changed");
}

function figuresOf(results: Readonly<Record<keyof Turns, readonly number[]>>): Figure[] {
  const rate = (name: string, values: readonly number[]) => ({ name, unit: "rows/s", values });
  const bareFull = rate("bare upsert, 100 a transaction, FULL", results.bareFull);
  const bareNormal = rate("bare upsert, 100 a transaction, NORMAL", results.bareNormal);
  const bareUnchanged = rate("bare upsert of unchanged rows, FULL", results.bareUnchanged);
  const bareSingle = rate("bare upsert, 1 a transaction, FULL", results.bareSingle);
  const against = (versus: Comparison["versus"], atLeast?: number): Comparison => {
    return { versus, better: "more", ...(atLeast === undefined ? {} : { goal: { of: "ratio", atLeast } }) };
  };
  const perRow = (name: string, values: readonly number[]) => {
    return { name, unit: "µs/row", values: values.map((rowsPerSecond) => 1e6 / rowsPerSecond) };
  };
  const select = perRow("bare SELECT of the rows by key", results.select);
  return [
    figure(bareFull),
    figure(bareNormal),
    figure(rate("objects, 100 a transaction", results.objects), against(bareFull, 0.85)),
    figure(rate("SQL statements, 100 a transaction", results.statements), against(bareFull, 0.6)),
    figure(rate("remote apply, 100 a transaction", results.apply), against(bareNormal, 0.85)),
    figure(bareUnchanged),
    figure(rate("unchanged objects, 100 a transaction", results.unchanged), against(bareUnchanged, 3)),
    figure(bareSingle),
    figure(rate("objects, 1 a transaction", results.single), against(bareSingle)),
    figure(select),
    figure(perRow("extract of a transaction", results.extract), { versus: select, better: "less" }),
  ];
}
