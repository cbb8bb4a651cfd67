/** The map over real tables and files: what it serves when rows are bad, switched off, or end the process. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { RowWrite } from "@patina/base";
import { Rib } from "@patina/router";
import { newDbId, newNodeId, systemNow } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { createLogger } from "@patina/telemetry";
import { Reloads } from "./reloads.js";
import { RibFiles } from "./rib-files.js";
import { StoreRows } from "./store-rows.js";

const schemaSql = ["010-placements", "020-regions"]
  .map((name) => readFileSync(new URL(`../../schema/${name}.sql`, import.meta.url), "utf8"))
  .join("\n");
const log = createLogger("silent", "test");
let dir: string;
let store: SqliteStore;
let opened: { close: () => void }[] = [];
let hlc = 1n;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-rib-"));
  const cluster = { name: "global", generation: 1 };
  store = new SqliteStore({ path: join(dir, "state.db"), cluster, node: newNodeId(), newDbId, schemaSql });
});

afterEach(() => {
  for (const each of opened) each.close();
  opened = [];
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A process that starts: the files as they are, the map as the tables have it. It ends over an app, as a bug would. */
function start(endsOver?: string): { readonly rib: Rib; readonly files: RibFiles; readonly told: string[] } {
  const files = new RibFiles(dir, log);
  opened.push(files);
  const told: string[] = [];
  const rib = new Rib({
    rows: new StoreRows(store),
    journal: files.journal,
    quarantine: files.quarantine,
    switches: () => files.switches,
    wallMs: () => systemNow().wallMs,
    onQuarantined: ({ region, reason }) => {
      told.push(`${region}: ${reason}`);
      files.saveQuarantine();
    },
  });
  const reloads = new Reloads(rib);
  opened.push(reloads);
  files.onSwitched(() => reloads.again());
  rib.follow((app) => {
    if (app === endsOver) throw new Error("the process ends here");
  });
  rib.reload();
  return { rib, files, told };
}

function write(rib: Rib | undefined, row: Omit<RowWrite, "stamp">): void {
  const { wallMs } = systemNow();
  const [outcome] = store.commit([{ kind: "rows", rows: [{ ...row, stamp: { epoch: 1, hlc: hlc++ } }] }], wallMs);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  rib?.onChanged(outcome.rows);
}

/** Rows with such names, in SQL: written around the engine, since it takes none of them. */
function damage(...apps: string[]): void {
  const db = new Database(join(dir, "state.db"));
  for (const app of apps) db.exec(`INSERT INTO _patina_rows_placements (app, region) VALUES (${app}, 'iad')`);
  db.close();
}

const placement = (app: string, cls: "serving" | "standby" = "serving", region = "iad"): Omit<RowWrite, "stamp"> => {
  return { table: "placements", values: { app, region, class: cls } };
};
const heartbeat = (apis: string): Omit<RowWrite, "stamp"> => {
  return { table: "regions", values: { region: "iad", generation: 1n, heartbeat_ms: 5n, apis } };
};
const classes = (rib: Rib, app: string): string[] =>
  rib.fib.lookup(app).map((route) => `${route.region} ${route.class}`);

test("is built from the tables, follows them, and forgets what is deleted", () => {
  write(undefined, placement("web"));
  const { rib } = start();
  expect(classes(rib, "web")).toEqual(["iad serving"]);
  write(rib, placement("web", "standby", "fra"));
  expect(classes(rib, "web")).toEqual(["fra standby", "iad serving"]);
  write(rib, { ...placement("web"), deleted: true });
  expect(classes(rib, "web")).toEqual(["fra standby"]);
});

test("a bad row stays out and is told of once; the last good one serves, over a restart, too, until a good one comes", () => {
  const first = start();
  write(first.rib, heartbeat('["http://good:1"]'));
  write(first.rib, heartbeat("[7]"));
  expect(first.rib.regions.get("iad")?.apis).toEqual(["http://good:1"]);
  expect(first.told).toHaveLength(1);
  first.files.close();
  opened = [];
  const second = start();
  expect(second.rib.regions.get("iad")?.apis).toEqual(["http://good:1"]);
  expect(second.rib.quarantine.list()).toMatchObject([{ table: "regions", region: "iad" }]);
  write(second.rib, heartbeat('["http://better:1"]'));
  expect(second.rib.regions.get("iad")?.apis).toEqual(["http://better:1"]);
  expect(second.rib.quarantine.size).toBe(0);
});

test("a row over which the process ended is not taken again, by any later start, until it changes", () => {
  write(undefined, placement("other"));
  const first = start("web");
  expect(() => write(first.rib, placement("web", "standby"))).toThrow("the process ends here");
  for (let starts = 0; starts < 3; starts++) {
    const { rib } = start();
    expect(rib.quarantine.list()).toMatchObject([{ app: "web", reason: "the process ended while taking this row" }]);
    expect([classes(rib, "web"), classes(rib, "other")]).toEqual([[], ["iad serving"]]);
  }
  const { rib } = start();
  write(rib, placement("web", "serving"));
  expect([classes(rib, "web"), rib.quarantine.size]).toEqual([["iad serving"], 0]);
});

test("a row that ends the process while the map is loaded is found among all others by starting again", () => {
  for (let i = 10; i < 40; i++) write(undefined, placement(`app-${i}`));
  expect(() => start("app-17")).toThrow("ends here"); // Among all others.
  expect(() => start("app-17")).toThrow("ends here"); // Alone.
  const { rib } = start("nothing any more");
  expect(rib.quarantine.list().map(({ app }) => app)).toEqual(["app-17"]);
  expect(rib.fib.size).toBe(29);
});

test("what is switched off keeps its place in the map, deletes included; switched on, the map catches up", async () => {
  const { rib, files } = start();
  write(rib, placement("web"));
  write(rib, placement("db"));
  await files.switch({ tables: [], origins: ["iad"], features: [] });
  write(rib, placement("web", "standby"));
  write(rib, { ...placement("db"), deleted: true });
  write(rib, placement("new"));
  write(rib, placement("web", "serving", "fra"));
  expect(classes(rib, "web")).toEqual(["fra serving", "iad serving"]);
  expect([classes(rib, "db"), classes(rib, "new")]).toEqual([["iad serving"], []]);
  await files.switch({ tables: [], origins: [], features: [] });
  expect(["web", "db", "new"].map((app) => classes(rib, app))).toEqual([
    ["fra serving", "iad standby"],
    [],
    ["iad serving"],
  ]);
});

test("is taken anew in pieces, whole apps at a time, and what changes between two pieces is neither lost nor undone", () => {
  const { rib } = start();
  const apps = Array.from({ length: 1300 }, (_, i) => `app-${String(i).padStart(4, "0")}`);
  for (const app of ["", ...apps]) for (const region of ["fra", "iad"]) write(undefined, placement(app, "serving", region)); // prettier-ignore
  damage("X'00ff'", "CAST(X'ff' AS TEXT)");
  const pieces = rib.reloading();
  let seen = 0;
  while (pieces.next().done !== true) {
    expect(
      [...rib.fib.apps()].every((app) => classes(rib, app).length === 2 || ["app-0601", "app-1299"].includes(app)),
    ).toBe(true);
    if (seen++ > 0) continue;
    write(rib, { ...placement("app-0001"), deleted: true });
    write(rib, { ...placement("app-1299"), deleted: true });
    write(rib, placement("app-0002", "standby"));
    write(rib, placement("app-0600", "standby")); // Of the next page.
    write(rib, { ...placement("app-0601"), deleted: true });
    expect(classes(rib, "app-0001").pop()).toBe("fra serving");
    write(rib, placement("app-0001"));
  }
  expect(seen).toBeGreaterThan(2);
  expect(rib.fib.size).toBe(apps.length);
  expect(rib.quarantine.list().map(({ app }) => app)).toEqual(["", "", "\ufffd", "\u0000\ufffd"]);
  expect(["app-0001", "app-0002", "app-0600", "app-0601", "app-1299"].map((app) => classes(rib, app))).toEqual([
    ["fra serving", "iad serving"],
    ["fra serving", "iad standby"],
    ["fra serving", "iad standby"],
    ["fra serving"],
    ["fra serving"],
  ]);
});

test("a region's rows come a page at a time, each once, and no other's", () => {
  for (const app of ["", "a", "b", "c", "d"]) write(undefined, placement(app, "standby", "iad"));
  for (const app of ["b", "bb"]) write(undefined, placement(app, "standby", "fra"));
  const rows = new StoreRows(store);
  const pages = [];
  for (let after: string | undefined; pages.length < 9;) {
    const page = rows.placementsOf("iad", after, 2).map(({ app }) => String(app));
    if (page.length === 0) break;
    pages.push(page);
    after = page.at(-1);
  }
  expect(pages).toEqual([["", "a"], ["b", "c"], ["d"]]);
});

test("apps that have lost their rows unnoticed are gone after a reload, however many", () => {
  const { rib } = start();
  for (let i = 0; i < 1200; i++) write(rib, placement(`app-${i}`));
  for (let i = 1; i < 1200; i++) write(undefined, { ...placement(`app-${i}`), deleted: true });
  const pieces = [...rib.reloading()];
  expect(pieces.length).toBeGreaterThan(2);
  expect([...rib.fib.apps()]).toEqual(["app-0"]);
});

test("what is asked for while it is taken anew begins it again", async () => {
  const { rib } = start();
  for (let i = 0; i < 1100; i++) write(undefined, placement(`app-${i}`));
  const reloads = new Reloads(rib);
  const first = reloads.again();
  while (rib.fib.size === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(rib.fib.size).toBeLessThan(1100);
  write(undefined, placement("aaa")); // Of a page that was taken already.
  await Promise.all([first, reloads.again()]);
  expect(rib.fib.size).toBe(1101);
  write(undefined, placement("new"));
  await reloads.again();
  expect(rib.fib.size).toBe(1102);
});

test("a file that an operator writes switches too, and nonsense in it changes nothing", async () => {
  const { files } = start();
  const path = join(dir, "switches.json");
  const switched = new Promise<void>((resolve) => files.onSwitched(async () => resolve()));
  writeFileSync(path, '{"features": ["probe"]}');
  await switched;
  expect(files.switches).toEqual({ tables: [], origins: [], features: ["probe"] });
  writeFileSync(path, '{"features": "all of them"}');
  const again = start();
  expect(again.files.switches.features).toEqual([]);
  expect(files.switches.features).toEqual(["probe"]);
});

test("a file that is removed and written again as it was switches again", async () => {
  const { files } = start();
  const path = join(dir, "switches.json");
  const follows = async (...features: readonly string[]): Promise<void> =>
    vi.waitFor(() => expect(files.switches.features).toEqual(features), { timeout: 5000 });
  writeFileSync(path, '{"features": ["probe"]}');
  await follows("probe");
  rmSync(path);
  await follows();
  writeFileSync(path, '{"features": ["probe"]}');
  await follows("probe");
});
