/** The model of a region's detail is the store with the shipped schema, as far as a border can see. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Change } from "@patina/base";
import { SqliteStore } from "@patina/store";
import { SCRATCH_DIR } from "../../machine/scratch.js";
import { Detail, type DetailEntry } from "./detail.js";

const schemaSql = ["010-machines", "020-app-placement"]
  .map((name) => readFileSync(new URL(`../../../../../regional/schema/${name}.sql`, import.meta.url), "utf8"))
  .join("\n");
const WALL_MS = 1_800_000_000_000;
const APPS = ["a", "b"];

interface Twice {
  readonly store: SqliteStore;
  readonly detail: Detail;
  readonly changes: Change[];
  readonly entries: DetailEntry[];
}

const write = fc.record({
  at: fc.nat(1),
  machine: fc.nat(2),
  app: fc.constantFrom(...APPS),
  state: fc.constantFrom("created" as const, "started" as const, "destroyed" as const),
  laterMs: fc.integer({ min: -3, max: 3 }),
});
const step = fc.oneof({ weight: 4, arbitrary: write }, { weight: 1, arbitrary: fc.constant("told" as const) });

test(
  "the model and the store summarise the same, whatever is written where, and told to whom",
  { timeout: 60_000 },
  () => {
    const dir = mkdtempSync(join(SCRATCH_DIR, "patina-model-"));
    let databases = 0;
    const twice = (): Twice => {
      const id = (++databases).toString(16);
      const [node, db] = [id.padStart(32, "0"), id.padStart(16, "0")];
      const cluster = { name: "iad", generation: 1 };
      const store = new SqliteStore({ path: join(dir, `${id}.db`), cluster, node, newDbId: () => db, schemaSql });
      return { store, detail: new Detail(), changes: [], entries: [] };
    };
    const property = fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const both = [twice(), twice()] as const;
      let revision = 0;
      try {
        for (const each of steps) {
          if (each === "told") tell(both);
          else writeBoth(both[each.at === 0 ? 0 : 1], each, ++revision);
          for (const one of both) expect(ofDetail(one)).toEqual(ofStore(one));
        }
        tell(both);
        expect(ofDetail(both[0])).toEqual(ofDetail(both[1]));
        expect(both[0].detail.holdsAs(both[1].detail)).toBe(true);
        for (const one of both) expect(ofDetail(one)).toEqual(ofStore(one));
      } finally {
        for (const { store } of both) store.close();
      }
    });
    fc.assert(property, { numRuns: 120 });
    rmSync(dir, { recursive: true });
  },
);

type Written = Pick<DetailEntry["row"], "app" | "state"> & { readonly machine: number; readonly laterMs: number };

/** A machine's name has its app in it: none changes hands. */
function writeBoth({ store, detail, changes, entries }: Twice, written: Written, revision: number): void {
  const { app, state, machine, laterMs } = written;
  const id = `${app}-${machine}`;
  const values = { id, app, state, updated_ms: BigInt(revision) };
  const [outcome] = store.commit(
    [{ kind: "rows", rows: [{ table: "machines", values }] }],
    WALL_MS + revision + laterMs,
  );
  if (outcome?.ok !== true || outcome.change === undefined) throw new Error("a change");
  const { origin, version, hlc } = outcome.change;
  const entry = { origin, version, hlc, row: { id, app, state, revision } };
  changes.push(outcome.change);
  entries.push(entry);
  detail.take(entry);
}

/** Each learns all that the other has written. */
function tell([a, b]: readonly [Twice, Twice]): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    to.store.apply(from.changes.splice(0));
    for (const entry of from.entries.splice(0)) to.detail.take(entry);
  }
}

function ofStore({ store }: Twice): unknown {
  const classes = store.read("SELECT app, class FROM app_placement ORDER BY app");
  return { classes, high: APPS.map((app) => store.apps.highWater("machines", app)) };
}

function ofDetail({ detail }: Twice): unknown {
  const classes = detail
    .apps()
    .sort()
    .map((app) => [app, detail.classOf(app)]);
  return { classes, high: APPS.map((app) => detail.highWater(app)) };
}
