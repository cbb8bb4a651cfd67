/**
 * The store against bare SQLite doing the same upserts of the same rows: what the clock, the digest, the captured
 * bytes and the holdings cost. A write is compared at its own durability: local ones at FULL, remote ones at NORMAL.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { assert, type Change, must, Ranges, type Rng } from "@patina/base";
import { BareDatabase, BareReader, commitOne, loadStore, openStore, rowsWrite, WalCutter } from "../databases.js";
import { type Machine, Machines } from "../machines.js";
import { type Comparison, type Figure, figure } from "../report.js";
import { interleave, perSecond, type Turn } from "../rounds.js";
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

type TurnName =
  | `bare${"Full" | "Normal" | "Unchanged" | "Single"}`
  | "objects" | "statements" | "apply" | "unchanged" | "single" | "extract" | "select"; // prettier-ignore

/** Every turn answers in rows per second. */
function turnsOf(databases: Databases, sizes: Sizes, work: () => Workload): Record<TurnName, Turn<number>> {
  const { bareFull, bareNormal, objects, statements, remote, archive, origin, reader, wals } = databases;
  const writing = <Item>(wal: WalCutter, rows: number, items: () => readonly Item[], write: (item: Item) => void) => {
    return (): number => {
      wal.cut();
      return perSecond(rows, () => {
        items().forEach(write);
        wal.cut();
      });
    };
  };
  const { transactions, singles } = sizes;
  const many = transactions * ROWS;
  return {
    bareFull: writing(
      wals.bareFull,
      many,
      () => work().changed,
      (batch) => bareFull.upsert(batch),
    ),
    bareNormal: writing(
      wals.bareNormal,
      many,
      () => work().changed,
      (batch) => bareNormal.upsert(batch),
    ),
    bareUnchanged: writing(
      wals.bareFull,
      many,
      () => work().unchanged,
      (batch) => bareFull.upsert(batch),
    ),
    bareSingle: writing(
      wals.bareFull,
      singles,
      () => work().singles,
      (machine) => bareFull.upsert([machine]),
    ),
    objects: writing(
      wals.objects,
      many,
      () => work().changed,
      (batch) => commitOne(objects, rowsWrite(batch)),
    ),
    statements: writing(
      wals.statements,
      many,
      () => work().changed,
      (batch) => {
        commitOne(statements, { kind: "statements", statements: batch.map(({ statement }) => statement) });
      },
    ),
    apply: writing(
      wals.remote,
      many,
      () => work().remote,
      (change) => {
        const { applied, quarantined } = remote.apply([change]);
        assert(applied === 1 && quarantined.length === 0, "every change is new and can be applied");
      },
    ),
    unchanged: writing(
      wals.objects,
      many,
      () => work().unchanged,
      (batch) => {
        assert(commitOne(objects, rowsWrite(batch)).change === undefined, "nothing changed");
      },
    ),
    single: writing(
      wals.objects,
      singles,
      () => work().singles,
      (machine) => commitOne(objects, rowsWrite([machine])),
    ),
    extract: () =>
      perSecond(many, () => {
        for (const version of work().versions) archive.extract(origin, Ranges.of(version, version), Infinity);
      }),
    select: () =>
      perSecond(many, () => {
        for (const version of work().versions) reader.rowsOfVersion(origin, version);
      }),
  };
}

function figuresOf(results: Readonly<Record<TurnName, readonly number[]>>): Figure[] {
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
  const select = perRow("bare SELECT of a transaction's rows", results.select);
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
