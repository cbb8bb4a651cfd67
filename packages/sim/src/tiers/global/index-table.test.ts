/** The model of the index is the store, as far as anybody can see: the same writes with the same stamps leave the same rows. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change, RowWrite } from "@patina/base";
import { placementWrites } from "@patina/router";
import { SqliteStore } from "@patina/store";
import { SCRATCH_DIR } from "../../machine/scratch.js";
import { type IndexState, IndexTable } from "./index-table.js";

const schemaSql = readFileSync(new URL("../../../../../global/schema/010-placements.sql", import.meta.url), "utf8");
const WALL_MS = 1_800_000_000_000;
const ROWS = "SELECT app, region, class, _patina_epoch, _patina_hlc FROM _patina_rows_placements ORDER BY app, region";

/** One global agent twice over, and what it has to tell the other. */
interface Twice {
  readonly store: SqliteStore;
  readonly table: IndexTable;
  readonly changes: Change[];
  readonly states: IndexState[];
}

const write = fc.record({
  at: fc.nat(1),
  app: fc.constantFrom("a", "b"),
  class: fc.constantFrom("serving" as const, "standby" as const, undefined),
  generation: fc.integer({ min: 1, max: 2 }),
  highWater: fc.integer({ min: 1, max: 5 }).map(BigInt),
});
const step = fc.oneof({ weight: 4, arbitrary: write }, { weight: 1, arbitrary: fc.constant("told" as const) });

test(
  "the model and the store have the same rows, whatever is published where, and told to whom",
  { timeout: 60_000 },
  () => {
    const dir = mkdtempSync(join(SCRATCH_DIR, "patina-model-"));
    let databases = 0;
    const twice = (): Twice => {
      const id = (++databases).toString(16);
      const path = join(dir, `${id}.db`);
      const cluster = { name: "global", generation: 1 };
      const store = new SqliteStore({
        path,
        cluster,
        node: id.padStart(32, "0"),
        newDbId: () => id.padStart(16, "0"),
        schemaSql,
      });
      return { store, table: new IndexTable(store.origin), changes: [], states: [] };
    };
    const property = fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const both = [twice(), twice()] as const;
      try {
        for (const each of steps) {
          if (each === "told") tell(both);
          else publish(both[each.at === 0 ? 0 : 1], placementWrites("iad", each.generation, [each]));
          for (const one of both) expect(ofTable(one)).toEqual(ofStore(one));
        }
        tell(both);
        for (const one of both) expect(ofTable(one)).toEqual(ofStore(one));
        expect(ofTable(both[0])).toEqual(ofTable(both[1]));
      } finally {
        for (const { store } of both) store.close();
      }
    });
    fc.assert(property, { numRuns: 120 });
    rmSync(dir, { recursive: true });
  },
);

function publish({ store, table, changes, states }: Twice, rows: readonly RowWrite[]): void {
  const [outcome] = store.commit([{ kind: "rows", rows }], WALL_MS);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  if (outcome.change !== undefined) changes.push(outcome.change);
  states.push(...table.write(rows));
}

/** Each learns all that the other has published. */
function tell([a, b]: readonly [Twice, Twice]): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    to.store.apply(from.changes.splice(0));
    for (const state of from.states.splice(0)) to.table.join(state);
  }
}

function ofStore({ store }: Twice): unknown[] {
  return store.read(ROWS);
}

function ofTable({ table }: Twice): unknown[] {
  return table.placements().map(({ app, region, class: cls, epoch, hlc }) => [app, region, cls, epoch, hlc]);
}
