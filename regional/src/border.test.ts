/** The border over a real store: what it puts on the way, counted, whatever happens inside the region. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { must, type RowWrite } from "@patina/base";
import { newDbId, newNodeId } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { Border, type BorderEffect, type BorderInput, defaultBorderConfig, type RegionView } from "@patina/summary";
import { StoreView } from "./store-view.js";
import { SCHEMA_FILES } from "./tier.js";

const schemaSql = SCHEMA_FILES.map((file) => readFileSync(file, "utf8"));
const WALL_MS = 1_800_000_000_000;
const APPS = 100;
const UPDATES = 100_000;
const BATCH = 1000;

let dir: string;
let store: SqliteStore;
let border: Border;
let nowMs: number;
let timers: { readonly atMs: number; readonly input: BorderInput }[];
/** Effects that leave the region, and what the operator is told. */
let told: BorderEffect[];
let isAnswered: boolean;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-border-"));
  const cluster = { name: "iad", generation: 1 };
  store = new SqliteStore({
    path: join(dir, "state.db"),
    cluster,
    node: newNodeId(),
    newDbId,
    schemaSql: schemaSql.join("\n"),
  });
  [nowMs, timers, told, isAnswered] = [0, [], [], true];
});

afterEach(() => {
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function start(wrap: (view: RegionView) => RegionView = (view) => view): void {
  const runtime = { agent: { hasSynced: true }, members: () => [] };
  const view = wrap(new StoreView({ nodeId: "a", apiUrl: "http://a", store, runtime }));
  border = new Border({ view, generation: 1, globals: 1, config: defaultBorderConfig });
  step({ kind: "start" });
}

/** Global agents take everything at once if they answer, and have an empty index when they are asked. */
function step(input: BorderInput): void {
  for (const effect of border.handle(input, { monotonicMs: nowMs, wallMs: WALL_MS + nowMs })) {
    if (effect.kind === "wake") {
      timers.push({ atMs: nowMs + effect.afterMs, input: { kind: "wake", timer: effect.timer } });
      continue;
    }
    told.push(effect);
    if (effect.kind === "send") step({ kind: isAnswered ? "sent" : "send-failed" });
  }
}

function runFor(forMs: number): void {
  const endMs = nowMs + forMs;
  for (;;) {
    const next = timers.reduce((first, each, i) => (each.atMs < (timers[first]?.atMs ?? Infinity) ? i : first), -1);
    const [timer] = next < 0 || (timers[next]?.atMs ?? Infinity) > endMs ? [] : timers.splice(next, 1);
    if (timer === undefined) break;
    nowMs = timer.atMs;
    step(timer.input);
  }
  nowMs = endMs;
}

function write(rows: readonly RowWrite[]): void {
  const [outcome] = store.commit([{ kind: "rows", rows }], WALL_MS + nowMs);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  step({ kind: "touched", apps: outcome.rows.flatMap(({ app }) => app ?? []) });
}

const machine = (i: number, updatedMs: number, state = "started"): RowWrite => {
  return { table: "machines", values: { id: `m${i}`, app: `app-${i % APPS}`, state, updated_ms: BigInt(updatedMs) } };
};
const sentRows = (): number => told.reduce((sum, effect) => sum + (effect.kind === "send" ? effect.rows.length : 0), 0);

test(
  "100,000 machine updates without a transition put nothing on the way to the global tier",
  { timeout: 120_000 },
  () => {
    start();
    write(Array.from({ length: BATCH }, (_, i) => machine(i, 0)));
    runFor(5000);
    // One that has just begun to publish has its first audit to tell of its apps.
    step({ kind: "index", rows: [] });
    expect(sentRows()).toBe(APPS);
    told = [];
    for (let batch = 1; batch <= UPDATES / BATCH; batch++) {
      write(Array.from({ length: BATCH }, (_, i) => machine(i, batch)));
      runFor(100);
    }
    expect(store.read("SELECT count(*) FROM machines WHERE updated_ms = ?", [BigInt(UPDATES / BATCH)])).toEqual([
      [1000n],
    ]);
    expect(border.touchedCount).toBe(0);
    expect(told.filter(({ kind }) => kind !== "heartbeat" && kind !== "read-index")).toEqual([]);
    write([machine(0, 1, "stopped"), ...Array.from({ length: 9 }, (_, i) => machine((i + 1) * APPS, 1, "stopped"))]);
    runFor(100);
    expect(sentRows()).toBe(1); // All of one app's machines have stopped: that is a transition.
  },
);

/** What a border sees of a region that it has met, part by part, for a test to change one. */
function settled(view: RegionView): RegionView {
  return {
    nodeId: view.nodeId,
    api: view.api,
    hasSynced: true,
    hasView: true,
    enlisted: () => view.enlisted(),
    members: () => view.members(),
    apps: () => view.apps(),
    classOf: (app) => view.classOf(app),
    highWater: (app) => view.highWater(app),
    regionHighWater: () => view.regionHighWater(),
    hasGaps: () => view.hasGaps(),
  };
}

test("the border accounts for every row that it tells: a transition, an audit's, or one that nobody answered", () => {
  start();
  write([machine(0, 0), machine(1, 0)]); // Seen before it publishes: its first audit tells of them.
  runFor(5000);
  step({ kind: "index", rows: [] });
  expect(border.counts).toMatchObject({ transitions: 0, repaired: 2, published: 2, unanswered: 0 });
  isAnswered = false;
  write([machine(2, 1), machine(3, 1), machine(4, 1)]);
  runFor(100);
  expect(border.counts).toMatchObject({ transitions: 3, repaired: 2, published: 2, unanswered: 3, waiting: 3 });
  isAnswered = true;
  runFor(defaultBorderConfig.retryMinMs);
  expect(border.counts).toMatchObject({ transitions: 3, repaired: 2, published: 5, unanswered: 3, waiting: 0 });
});

test("a border that loses sight of its region withdraws nothing, and says so", () => {
  let isBlind = false;
  start((view) => ({
    ...settled(view),
    apps: () => (isBlind ? [] : view.apps()),
    classOf: (app) => (isBlind ? undefined : view.classOf(app)),
  }));
  write(Array.from({ length: APPS }, (_, i) => machine(i, 0)));
  runFor(2000);
  step({ kind: "index", rows: [] });
  expect(sentRows()).toBe(APPS);
  told = [];
  isBlind = true;
  step({ kind: "touched", apps: Array.from({ length: APPS }, (_, i) => `app-${i}`) });
  runFor(600_000);
  expect(sentRows()).toBe(0);
  expect(told).toContainEqual({ kind: "held", apps: APPS, of: APPS });
  isBlind = false;
  step({ kind: "touched", apps: Array.from({ length: APPS }, (_, i) => `app-${i}`) });
  runFor(1000);
  expect(told.findLast(({ kind }) => kind === "held")).toEqual({ kind: "held", apps: 0, of: APPS });
});

test("an audit asks the detail about the rows that are not as they should be, and about no others", () => {
  const asked: string[] = [];
  start((view) => ({
    ...settled(view),
    highWater: (app) => {
      asked.push(app);
      return view.highWater(app);
    },
  }));
  write(Array.from({ length: APPS }, (_, i) => machine(i, 0)));
  runFor(2000);
  step({ kind: "index", rows: [] });
  const rows = told.flatMap((effect) => (effect.kind === "send" ? effect.rows : []));
  const index = rows.map(({ app, class: cls, highWater }) => ({ app, class: cls, generation: 1, highWater }));
  expect(index.length).toBe(APPS);
  runFor(defaultBorderConfig.auditMs);
  [asked.length, told] = [0, []];
  step({ kind: "index", rows: index });
  expect([asked, told]).toEqual([[], []]);
  const ghost = { app: "ghost", class: "serving", generation: 1, highWater: 1n } as const;
  step({
    kind: "index",
    rows: [...index.slice(2), { ...must(index[1], "a row"), class: "standby" }, ghost],
  });
  expect(asked).toEqual(["app-1", "ghost"]);
  expect(told).toContainEqual({ kind: "repair", missing: 2, ghosts: 1 });
});

test("what has gone out since the index was asked for is not repaired by what the index was before", () => {
  start();
  write(Array.from({ length: APPS }, (_, i) => machine(i, 0)));
  runFor(2000);
  step({ kind: "index", rows: [] });
  const rows = told.flatMap((effect) => (effect.kind === "send" ? effect.rows : []));
  const before = rows.map(({ app, class: cls, highWater }) => ({ app, class: cls, generation: 1, highWater }));
  runFor(defaultBorderConfig.auditMs);
  expect(told).toContainEqual({ kind: "read-index", to: 0 });
  write([machine(0, 1, "stopped"), machine(APPS * 7 + 3, 1), { table: "machines", values: { id: "new", app: "new", state: "started" } }]); // prettier-ignore
  runFor(200);
  expect(sentRows()).toBe(APPS + 2);
  told = [];
  step({ kind: "index", rows: before });
  expect(told).toEqual([]);
  runFor(defaultBorderConfig.auditMs);
  step({ kind: "index", rows: before });
  expect(told).toContainEqual({ kind: "repair", missing: 2, ghosts: 0 });
});
