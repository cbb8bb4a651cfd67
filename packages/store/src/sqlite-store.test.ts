/** The store end to end, on real files: what users see, what peers get, and what a crash leaves. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, type Change, heldVersions, Ranges, type SqlValue } from "@patina/base";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { defaultStoreLimits, type StoreLimits } from "./database/limits.js";
import { scrub } from "./check/scrub.js";
import { SqliteStore } from "./sqlite-store.js";

const SCHEMA = `
-- @app app
CREATE TABLE machines (
  id TEXT NOT NULL PRIMARY KEY,
  app TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'created',
  cpus INTEGER NOT NULL DEFAULT 1,
  note TEXT
);
CREATE INDEX machines_app ON machines (app);
CREATE VIEW app_placement AS SELECT app, max(state = 'started') AS serving FROM machines GROUP BY app;
`;

const WALL = 1_790_000_000_000;
const dirs: string[] = [];
const open: SqliteStore[] = [];

interface Opening {
  readonly dir?: string;
  readonly schemaSql?: string;
  readonly cluster?: string;
  readonly limits?: StoreLimits;
}

function node(id: number, { dir, schemaSql = SCHEMA, cluster = "iad", limits }: Opening = {}): SqliteStore {
  const home = dir ?? mkdtempSync(join(tmpdir(), "patina-store-"));
  dirs.push(home);
  const store = new SqliteStore({
    path: join(home, "state.db"),
    cluster: { name: cluster, generation: 1 },
    node: id.toString(16).padStart(32, "0"),
    newDbId: () => id.toString(16).padStart(16, "a"),
    schemaSql,
    ...(limits === undefined ? {} : { limits }),
  });
  open.push(store);
  return store;
}

afterEach(() => {
  for (const store of open.splice(0)) store.close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function exec(store: SqliteStore, sql: string, ...params: SqlValue[]): Change | undefined {
  const [outcome] = store.commit([{ kind: "statements", statements: [{ sql, params }] }], WALL);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  return outcome.change;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return thrown instanceof AppError ? thrown.code : String(thrown);
  }
  return "nothing thrown";
}

const all = (store: SqliteStore): SqlValue[][] => store.read("SELECT * FROM machines ORDER BY id");

/** Everything `from` holds, read back from its rows, joined into `to`. */
function pull(from: SqliteStore, to: SqliteStore): void {
  for (const [origin, holding] of from.holdings()) {
    const { changes, empty } = from.extract(origin, heldVersions(holding), 1 << 30);
    to.apply(changes, [{ origin, versions: empty }]);
  }
}

describe("what users see", () => {
  test("SELECT * shows exactly the columns of the schema", () => {
    const store = node(1);
    exec(store, "INSERT INTO machines (id, app) VALUES ('m1', 'web')");
    expect(all(store)).toEqual([["m1", "web", "created", 1n, null]]);
  });

  test("INSERT without a column list, REPLACE, upsert, UPDATE with an alias and DELETE all work", () => {
    const store = node(1);
    exec(store, "INSERT INTO machines VALUES ('m1', 'web', 'started', 2, 'x'), ('m2', 'web', 'started', 2, NULL)");
    exec(store, "REPLACE INTO machines VALUES ('m1', 'api', 'stopped', 4, NULL)");
    exec(
      store,
      "INSERT INTO machines (id, cpus) VALUES ('m2', 8) ON CONFLICT (id) DO UPDATE SET cpus = excluded.cpus + machines.cpus",
    );
    exec(store, "UPDATE machines AS m SET note = m.app || '!' WHERE m.id = 'm1'");
    exec(
      store,
      "WITH gone AS (SELECT id FROM machines WHERE cpus = 10) UPDATE machines SET state = 'gone' WHERE id IN gone",
    );
    expect(all(store)).toEqual([
      ["m1", "api", "stopped", 4n, "api!"],
      ["m2", "web", "gone", 10n, null],
    ]);
    exec(store, "DELETE FROM main.machines WHERE id = 'm1'");
    expect(all(store).length).toBe(1);
  });

  test.each([
    ["DROP TABLE machines", "sql-not-allowed"],
    ["PRAGMA user_version = 3", "sql-not-allowed"],
    ["BEGIN", "sql-not-allowed"],
    ["SELECT 1", "sql-not-allowed"],
    ["UPDATE machines SET _patina_hlc = 9", "sql-not-allowed"],
    ["DELETE FROM _patina_origins", "sql-not-allowed"],
    ['UPDATE "_patina_rows_machines" SET app = 1', "sql-not-allowed"],
    ["INSERT OR ROLLBACK INTO machines (id) VALUES ('x')", "sql-not-allowed"],
    ["DELETE FROM machines RETURNING id", "sql-not-allowed"],
    ["DELETE FROM nothing", "sql-error"],
    ["INSERT INTO app_placement VALUES (1, 2)", "sql-error"],
    ["INSERT INTO machines (id) VALUES (NULL)", "sql-error"],
    ["INSERT INTO machines (id) VALUES ('a'); DELETE FROM machines", "sql-error"],
    ["INSERT INTO machines (id) VALUES ('a", "sql-error"],
  ])("%s is refused as %s and leaves nothing behind", (sql, code) => {
    const store = node(1);
    expect(codeOf(() => exec(store, sql))).toBe(code);
    expect(all(store)).toEqual([]);
    expect(store.holdings().size).toBe(0);
  });
});

describe("versions", () => {
  test("a write that changes nothing makes no version, even a REPLACE with the same values", () => {
    const store = node(1);
    exec(store, "INSERT INTO machines (id, app) VALUES ('m1', 'web')");
    const digest = store.digest();
    expect(exec(store, "UPDATE machines SET app = 'web'")).toBeUndefined();
    expect(exec(store, "REPLACE INTO machines (id, app) VALUES ('m1', 'web')")).toBeUndefined();
    expect(exec(store, "DELETE FROM machines WHERE id = 'nobody'")).toBeUndefined();
    expect(store.holdings().get(store.origin)?.head).toBe(1);
    expect(store.digest()).toBe(digest);
  });

  test("one failing write of a group is undone by itself, and its neighbours get versions without a gap", () => {
    const store = node(1);
    const insert = (id: string | null) =>
      ({ kind: "statements", statements: [{ sql: "INSERT INTO machines (id) VALUES (?)", params: [id] }] }) as const;
    const outcomes = store.commit([insert("a"), insert(null), insert("b")], WALL);
    expect(outcomes.map((outcome) => (outcome.ok ? outcome.change?.version : outcome.error.code))).toEqual([
      1,
      "sql-error",
      2,
    ]);
    expect(all(store).map(([id]) => id)).toEqual(["a", "b"]);
  });

  test("an oversized transaction or row is refused with its own code", () => {
    const store = node(1, { limits: { ...defaultStoreLimits, transactionRowsMax: 2, rowBytesMax: 100 } });
    expect(codeOf(() => exec(store, "INSERT INTO machines (id) VALUES (1), (2), (3)"))).toBe("transaction-too-large");
    expect(codeOf(() => exec(store, "INSERT INTO machines (id, note) VALUES (1, ?)", "x".repeat(200)))).toBe(
      "row-too-large",
    );
    expect(all(store)).toEqual([]);
  });

  test("the clock never goes back: not with the wall clock, and not over a restart", () => {
    const dir = mkdtempSync(join(tmpdir(), "patina-store-"));
    const store = node(1, { dir });
    const first = exec(store, "INSERT INTO machines (id) VALUES ('a')")?.hlc ?? 0n;
    store.close();
    open.splice(open.indexOf(store), 1);
    const again = node(1, { dir });
    const [outcome] = again.commit(
      [{ kind: "statements", statements: [{ sql: "INSERT INTO machines (id) VALUES ('b')", params: [] }] }],
      WALL - 3_600_000,
    );
    expect(outcome?.ok === true && outcome.change !== undefined && outcome.change.hlc > first).toBe(true);
    expect(again.origin).toBe(store.origin);
  });
});

describe("replication", () => {
  test("any order, with duplicates, gives equal rows and equal digests", () => {
    const [a, b, c] = [node(1), node(2), node(3)];
    const changes = [
      exec(a, "INSERT INTO machines (id, app) VALUES ('m1', 'web'), ('m2', 'web')"),
      exec(b, "INSERT INTO machines (id, app) VALUES ('m1', 'api')"),
      exec(a, "DELETE FROM machines WHERE id = 'm2'"),
      exec(b, "UPDATE machines SET cpus = 9007199254740993, note = 'é\u{1f600}'"),
    ] as Change[];
    a.apply([changes[3], changes[1]] as Change[]);
    b.apply([changes[2], changes[0], changes[2]] as Change[]);
    c.apply([...changes].reverse());
    c.apply(changes);
    expect(all(b)).toEqual(all(a));
    expect(all(c)).toEqual(all(a));
    expect(new Set([a.digest(), b.digest(), c.digest()]).size).toBe(1);
    expect(all(a)[0]?.[3]).toBe(9007199254740993n);
  });

  test("what is read back from the rows says the same as the changes did, and overwritten versions are empty", () => {
    const [a, b] = [node(1), node(2)];
    exec(a, "INSERT INTO machines (id) VALUES ('x'), ('y')");
    for (let i = 0; i < 600; i++) exec(a, "UPDATE machines SET cpus = ? WHERE id = 'x'", BigInt(i + 2));
    exec(a, "DELETE FROM machines WHERE id = 'y'");
    pull(a, b);
    expect(all(b)).toEqual(all(a));
    expect(b.digest()).toBe(a.digest());
    expect(b.holdings()).toEqual(a.holdings());
  });

  test("a delete wins over older writes that arrive later, and a newer insert wins over the delete", () => {
    const [a, b] = [node(1), node(2)];
    const insert = exec(a, "INSERT INTO machines (id) VALUES ('x')") as Change;
    const remove = exec(a, "DELETE FROM machines") as Change;
    b.apply([remove]);
    b.apply([insert]);
    expect(all(b)).toEqual([]);
    const again = exec(b, "INSERT INTO machines (id, app) VALUES ('x', 'back')") as Change;
    a.apply([again]);
    expect(all(a)).toEqual(all(b));
    expect(a.digest()).toBe(b.digest());
  });

  test("a change that breaks a constraint or is garbage is put aside, and its neighbours are applied", () => {
    const strict = SCHEMA.replace(
      "cpus INTEGER NOT NULL DEFAULT 1",
      "cpus INTEGER NOT NULL DEFAULT 1 CHECK (cpus < 100)",
    );
    const [a, b] = [node(1), node(2, { schemaSql: strict })];
    const bad = exec(a, "INSERT INTO machines (id, cpus) VALUES ('big', 500)") as Change;
    const good = exec(a, "INSERT INTO machines (id) VALUES ('ok')") as Change;
    const garbage: Change = { ...good, version: 3, body: new Uint8Array([9, 9, 9]) };
    const outcome = b.apply([bad, good, garbage]);
    expect(outcome.quarantined.map(({ change }) => change.version)).toEqual([1, 3]);
    expect(all(b).map(([id]) => id)).toEqual(["ok"]);
    expect(b.holdings().get(a.origin)).toEqual({ head: 3, gaps: Ranges.empty });
    expect(scrub(rawOf(b))).toEqual([]);
  });

  test("a change of a newer schema is kept whole, and shown when the schema arrives", () => {
    const newer = SCHEMA.replace("note TEXT", "note TEXT, zone TEXT NOT NULL DEFAULT 'a'");
    const dir = mkdtempSync(join(tmpdir(), "patina-store-"));
    const [a, old] = [node(1, { schemaSql: newer }), node(2, { dir })];
    const change = exec(a, "INSERT INTO machines (id, zone) VALUES ('m', 'z')") as Change;
    const plain = exec(a, "INSERT INTO machines (id) VALUES ('n')") as Change;
    expect(old.apply([change, plain]).quarantined).toEqual([]);
    expect(old.comparableDigest()).toBe(a.digest());
    expect(old.extract(a.origin, Ranges.of(1, 2), 1 << 20).changes).toEqual([change, plain]);
    old.close();
    open.splice(open.indexOf(old), 1);
    const upgraded = node(2, { dir, schemaSql: newer });
    expect(all(upgraded)).toEqual(all(a));
    expect(upgraded.digest()).toBe(a.digest());
  });

  test("an equal stamp with another content wins on every node, and an unstamped write after it wins, too", () => {
    const [a, b] = [node(2), node(1)];
    const put = (store: SqliteStore, app: string, hlc: bigint) => {
      const row = { table: "machines", values: { id: "m", app }, stamp: { epoch: 1, hlc } };
      const [outcome] = store.commit([{ kind: "rows", rows: [row] }], WALL);
      return outcome?.ok === true ? (outcome.change as Change) : undefined;
    };
    const ahead = BigInt(WALL + 3_600_000) << 16n;
    const first = put(a, "first", ahead) as Change;
    b.apply([first]);
    const repaired = put(b, "repaired", ahead) as Change;
    a.apply([repaired]);
    expect(put(a, "repaired", ahead)).toBeUndefined();
    expect(all(a)).toEqual(all(b));
    const last = exec(a, "UPDATE machines SET app = 'last'") as Change;
    b.apply([last]);
    expect(all(b)[0]?.[1]).toBe("last");
    expect(a.digest()).toBe(b.digest());
  });

  test("a stamped row is ordered by its stamp, not by who writes last", () => {
    const store = node(1);
    const put = (app: string, hlc: bigint, deleted = false) =>
      store.commit(
        [{ kind: "rows", rows: [{ table: "machines", values: { id: "m", app }, deleted, stamp: { epoch: 1, hlc } }] }],
        WALL,
      );
    put("new", 50n);
    put("old", 40n);
    expect(all(store)[0]?.[1]).toBe("new");
    put("", 60n, true);
    put("late", 55n);
    expect(all(store)).toEqual([]);
  });
});

test("an app's high-water is that of its own rows, the deleted ones included", () => {
  const store = node(1);
  expect(store.apps.highWater("machines", "web")).toBe(0n);
  const first = exec(store, "INSERT INTO machines (id, app) VALUES ('m1', 'web')") as Change;
  exec(store, "INSERT INTO machines (id, app) VALUES ('m2', 'api')");
  expect(store.apps.highWater("machines", "web")).toBe(first.hlc);
  const gone = exec(store, "DELETE FROM machines WHERE app = 'web'") as Change;
  expect(store.apps.highWater("machines", "web")).toBe(gone.hlc);
});

test("the log is swept of dead entries in slices, and what is read back stays the same", () => {
  const [a, b] = [node(1), node(2)];
  const entries = (): number => Number(a.read("SELECT sum(count) FROM _patina_log")[0]?.[0]);
  exec(a, "INSERT INTO machines (id) VALUES ('x'), ('y'), ('gone')");
  exec(a, "DELETE FROM machines WHERE id = 'gone'");
  const bump = (i: number) => ({ sql: "UPDATE machines SET cpus = ? WHERE id = 'x'", params: [BigInt(i + 2)] });
  for (let i = 0; i < 12_000; i += 500) {
    const writes = Array.from({ length: 500 }, (_, k) => ({ kind: "statements", statements: [bump(i + k)] }) as const);
    a.commit(writes, WALL);
  }
  expect(entries()).toBe(12_004);
  let slices = 0;
  while (a.maintain(500)) slices++;
  expect(slices).toBeGreaterThan(20);
  expect(entries()).toBe(3);
  expect(a.read("SELECT count(*) FROM _patina_log")[0]?.[0]).toBe(3n);
  expect(a.maintain(500)).toBe(false);
  pull(a, b);
  expect(all(b)).toEqual(all(a));
  expect(b.digest()).toBe(a.digest());
  expect(b.holdings()).toEqual(a.holdings());
});

describe("the file", () => {
  test("an added column changes no row, no digest and makes no version", () => {
    const dir = mkdtempSync(join(tmpdir(), "patina-store-"));
    const store = node(1, { dir });
    exec(store, "INSERT INTO machines (id) VALUES ('m1')");
    const [digest, holdings] = [store.digest(), store.holdings()];
    store.close();
    open.splice(open.indexOf(store), 1);
    const wider = node(1, { dir, schemaSql: SCHEMA.replace("note TEXT", "note TEXT, zone TEXT DEFAULT 'z'") });
    expect(wider.digest()).toBe(digest);
    expect(wider.holdings()).toEqual(holdings);
    expect(all(wider)[0]).toEqual(["m1", "", "created", 1n, null, "z"]);
    expect(scrub(rawOf(wider))).toEqual([]);
  });

  test("another cluster's file and a destructive schema are refused", () => {
    const dir = mkdtempSync(join(tmpdir(), "patina-store-"));
    node(1, { dir });
    expect(codeOf(() => node(1, { dir, cluster: "fra" }))).toBe("data-dir-foreign");
    expect(codeOf(() => node(1, { dir, schemaSql: "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY)" }))).toBe(
      "schema-destructive",
    );
    expect(codeOf(() => node(1, { dir, schemaSql: SCHEMA.replace("note TEXT", "note BLOB") }))).toBe(
      "schema-destructive",
    );
  });

  test("a row written around the engine is found by scrub", () => {
    const store = node(1);
    exec(store, "INSERT INTO machines (id) VALUES ('m1')");
    const raw = rawOf(store);
    expect(scrub(raw)).toEqual([]);
    raw.prepare("UPDATE _patina_rows_machines SET app = 'forged'").run();
    expect(scrub(raw).map(({ table }) => table)).toEqual(["machines"]);
    raw.close();
  });
});

function rawOf(store: SqliteStore): Database.Database {
  const [row] = store.read("SELECT file FROM pragma_database_list WHERE name = 'main'");
  return new Database(String(row?.[0]));
}
