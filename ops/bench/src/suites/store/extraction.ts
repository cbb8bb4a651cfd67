/**
 * Reading a version back from rows for a peer that asks for it, beside a bare SELECT of the same rows, and beside what
 * cr-sqlite took for the same on the machine of the reference measurements.
 */
import { join } from "node:path";
import { assert, Ranges } from "@patina/base";
import { BareReader, commitOne, loadStore, openStore, rowsWrite } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { type Comparison, type Figure, figure, type Measured } from "../../report.js";
import { interleave, perSecond } from "../../rounds.js";
import type { SuiteOptions } from "../suite.js";

const ROWS = 100; // a large transaction
/** Microseconds a row; for larger transactions the better of what was seen, 27 to 30. */
const REFERENCE = { small: 118, large: 27 } as const;
const FULL = { rows: 50_000, singles: 5000, reads: 2000, rounds: 5 };
const QUICK = { rows: 5000, singles: 1000, reads: 200, rounds: 3 };

export async function extractionFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const path = join(dir, "archive.db");
  const [large, small] = [new Machines(sizes.rows, rng.fork()), new Machines(sizes.singles, rng.fork())];
  const filled = openStore(path);
  loadStore(filled, large);
  for (const batch of small.batches(1)) commitOne(filled, rowsWrite(batch));
  const { origin } = filled; // Opened again, it is another node.
  filled.close();
  const store = openStore(path); // Recent changes are answered from memory; one just opened has none.
  const reader = new BareReader(path);
  try {
    const largeVersions = sizes.rows / ROWS;
    const extract = (versionOf: () => number, rows: number, reads: number) => (): number => {
      const versions = Array.from({ length: reads }, versionOf);
      const extracted = (version: number): number =>
        store.extract(origin, Ranges.of(version, version), Infinity).changes.length;
      return perSecond(reads * rows, () => versions.forEach((version) => assert(extracted(version) === 1, "it is held"))); // prettier-ignore
    };
    const idOf = ({ write }: Machine): string => String(write.values["id"]);
    const idsOf = (at: number): string[] => Array.from({ length: ROWS }, (_, i) => idOf(large.at(at * ROWS + i)));
    const batches = Array.from({ length: largeVersions }, (_, at) => idsOf(at));
    const select = (reads: number) => (): number => {
      const drawn = Array.from({ length: reads }, () => batches[rng.below(largeVersions)] ?? []);
      return perSecond(reads * ROWS, () => drawn.forEach((ids) => reader.rows(ids)));
    };
    const results = await interleave(
      {
        select: select(Math.ceil(sizes.reads / 10)),
        large: extract(() => 1 + rng.below(largeVersions), ROWS, Math.ceil(sizes.reads / 10)),
        small: extract(() => 1 + largeVersions + rng.below(sizes.singles), 1, sizes.reads),
      },
      { rounds: sizes.rounds, rng },
    );
    return figuresOf(results);
  } finally {
    reader.close();
    store.close();
  }
}

function figuresOf(results: Record<"select" | "large" | "small", readonly number[]>): Figure[] {
  const perRow = (name: string, values: readonly number[]): Measured => {
    return { name, unit: "µs/row", values: values.map((rowsPerSecond) => 1e6 / rowsPerSecond) };
  };
  const reference = (what: keyof typeof REFERENCE, name: string): Measured => {
    const values = results[what].map(() => REFERENCE[what]);
    return { name: `REFERENCE, not measured here: cr-sqlite, ${name}`, unit: "µs/row", values };
  };
  const select = perRow("bare SELECT of the rows by key", results.select);
  const [one, many] = [reference("small", "1-row transaction"), reference("large", "in larger ones")];
  const against = (versus: Measured): Comparison => ({ versus, better: "less", goal: { of: "ratio", atLeast: 5 } });
  const large = perRow("extract of a 100-row transaction", results.large);
  return [
    ...[select, one, many].map((it) => figure(it)),
    figure(perRow("extract of a 1-row transaction", results.small), against(one)),
    figure(large, against(many)),
    figure(large, { versus: select, better: "less" }),
  ];
}
