/** Writes that once went around the engine, or said two things of one row: every one leaves rows, digest and peers agreed. */
import { AppError, type Change, heldVersions, must, Ranges, type RowWrite, type SqlValue, type WriteOutcome } from "@patina/base"; // prettier-ignore
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { ScratchNodes } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const T = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT DEFAULT 'd', n INTEGER);";
const nodes = new ScratchNodes("writes");
const node = (schemaSql = T): SqliteStore => nodes.open(schemaSql);

afterEach(() => nodes.end());
afterAll(() => nodes.remove());

function sql(store: SqliteStore, ...statements: [sql: string, ...params: SqlValue[]][]): WriteOutcome {
  const write = { kind: "statements", statements: statements.map(([text, ...params]) => ({ sql: text, params })) } as const; // prettier-ignore
  return must(store.commit([write], WALL)[0], "an outcome");
}

function put(store: SqliteStore, ...rows: RowWrite[]): WriteOutcome {
  return must(store.commit([{ kind: "rows", rows }], WALL)[0], "an outcome");
}

const row = (values: RowWrite["values"], more: Partial<RowWrite> = {}): RowWrite => ({ table: "t", values, ...more });
const changeOf = (it: WriteOutcome): Change | undefined => (it.ok ? it.change : undefined);
const codeOf = (it: WriteOutcome): string => (it.ok ? "ok" : it.error.code);
const all = (store: SqliteStore): SqlValue[][] => store.read("SELECT * FROM t ORDER BY 1");

/** A fresh store that got everything as it is read back from the rows: what a late joiner holds. */
function joiner(from: SqliteStore, schemaSql = T): SqliteStore {
  const store = node(schemaSql);
  for (const [origin, holding] of from.holdings()) {
    const { changes, empty } = from.extract(origin, heldVersions(holding), 1 << 30);
    store.apply(changes, [{ origin, versions: empty }]);
  }
  expect(all(store)).toEqual(all(from));
  expect(store.digest()).toBe(from.digest());
  return store;
}

describe("a table whose key SQLite would make up", () => {
  const K = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, n INTEGER CHECK (n < 9));";

  test.each([
    "INSERT INTO t (a) VALUES ('x')",
    "INSERT INTO t VALUES (NULL, 'x', 1)",
    "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO t VALUES (5, 'x', 1), (NULL, 'y', 1)",
    "INSERT INTO t (a) SELECT a FROM t",
    "REPLACE INTO t (a) VALUES ('x')",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (id) DO UPDATE SET a = 'y'",
    "INSERT OR IGNORE INTO t VALUES (-1, 'ignored', 10), (NULL, 'x', 1)",
  ])("takes no row without one: %s", (text) => {
    const a = node(K);
    sql(a, ["INSERT INTO t VALUES (1, 'a', 1)"]);
    const outcome = sql(a, [text]);
    expect(outcome).toMatchObject({ ok: false, error: { code: "bad-request", details: { field: "id" } } });
    expect(all(a)).toEqual([[1n, "a", 1n]]);
  });

  test.each<[string, bigint[]]>([
    ["INSERT INTO t VALUES (-1, 'x', 1)", [-1n]],
    ["INSERT INTO t (n, id) VALUES (1, -1), (2, 7)", [-1n, 7n]],
    ["INSERT OR IGNORE INTO t VALUES (NULL, 'ignored', 10), (7, 'x', 1)", [7n]],
    ["INSERT INTO t VALUES (-1, 'x', 1) ON CONFLICT (id) DO UPDATE SET a = excluded.a", [-1n]],
    ["INSERT INTO t SELECT 3, 'x', 1", [3n]],
  ])("takes every row that has one: %s", (text, ids) => {
    const [a, b] = [node(K), node(K)];
    const outcome = sql(a, [text]);
    expect(outcome).toMatchObject({ ok: true });
    expect(all(a).map(([id]) => id)).toEqual(ids);
    b.apply([must(changeOf(outcome), "a change")]);
    expect(all(b)).toEqual(all(a));
    sql(a, ["UPDATE t SET id = id + 10, a = 'moved'"]);
    expect(all(joiner(a, K)).map(([id]) => id)).toEqual(ids.map((id) => id + 10n));
  });
});

describe("whole objects", () => {
  test("whose key its column changes are found again after a write that failed over such a key", () => {
    const store = node("CREATE TABLE k (id INTEGER NOT NULL PRIMARY KEY, n INTEGER CHECK (n < 9));");
    const of = (n: bigint): RowWrite => ({ table: "k", values: { id: "5", n } });
    expect([codeOf(put(store, of(10n))), codeOf(put(store, of(1n)))]).toEqual(["sql-error", "ok"]);
    expect(store.read("SELECT * FROM k")).toEqual([[5n, 1n]]);
  });

  test("one row named twice in a write says the later thing, here and everywhere", () => {
    const [a, b] = [node(), node()];
    for (const value of ["1", "2"]) {
      const change = changeOf(put(a, row({ id: "k", a: "first" }), row({ id: "k", a: value }))) as Change;
      b.apply([change]);
    }
    expect(all(a)).toEqual([["k", "2", null]]);
    expect([all(b), b.digest()]).toEqual([all(a), a.digest()]);
    put(a, row({ id: "k" }, { deleted: true }), row({ id: "k", a: "back" }));
    expect(all(a)).toEqual([["k", "back", null]]);
    put(a, row({ id: "k", a: "x" }), row({ id: "k" }, { deleted: true }));
    expect(all(joiner(a))).toEqual([]);
  });

  test("of two stamped writes of one row the greater stamp counts, not the later", () => {
    const a = node();
    const at = (hlc: bigint): Partial<RowWrite> => ({ stamp: { epoch: 1, hlc } });
    put(a, row({ id: "k", a: "new" }, at(9n)), row({ id: "k", a: "old" }, at(5n)));
    expect(all(a)).toEqual([["k", "new", null]]);
  });

  test("a key is what its column makes of it: the number 5 in a text key is the row '5'", () => {
    const a = node();
    put(a, row({ id: 5n, a: "x" }));
    put(a, row({ id: "5", a: "y" }), row({ id: 1.5 }));
    expect(all(a)).toEqual([["1.5", "d", null], ["5", "y", null]]); // prettier-ignore
    joiner(a);
    put(a, row({ id: 5n }, { deleted: true }));
    expect(all(joiner(a))).toEqual([["1.5", "d", null]]);
  });

  test.each(["INTEGER", "REAL", "NUMERIC", "BLOB"])("any value is kept, or refused, as a key of type %s", (type) => {
    const schema = `CREATE TABLE t (id ${type} NOT NULL, b TEXT NOT NULL, PRIMARY KEY (id, b));`;
    const a = node(schema);
    for (const id of [1n, "1", "1.0", 2.5, "x", -0, 9007199254740993n, new Uint8Array([49])]) {
      expect(["ok"]).toContain(codeOf(put(a, row({ id, b: 2n }))));
    }
    joiner(a, schema);
    const keys = all(a).map(([id]) => id);
    for (const id of keys) put(a, row({ id: id ?? null, b: "2" }, { deleted: true }));
    expect(all(joiner(a, schema))).toEqual([]);
  });

  test("null is a value; only what is left out takes its default, whatever it is called", () => {
    const a = node("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT DEFAULT 'd', constructor TEXT);");
    put(a, row({ id: "1", a: null }), row({ id: "2" }));
    expect(all(a)).toEqual([["1", null, null], ["2", "d", null]]); // prettier-ignore
  });

  test.each<[string, RowWrite, string]>([
    ["a key left out", row({ a: "x" }), "bad-request"],
    ["a key that is null", row({ id: null }), "bad-request"],
    ["a column that is not there", row({ id: "k", typo: "x" }), "sql-error"],
    ["a table that is not there", { table: "u", values: { id: "k" } }, "table-unknown"],
    ["a key that is no Unicode", row({ id: "k\ud800" }), "bad-request"],
  ])("%s is refused, and nothing of the write is kept", (_, bad, code) => {
    const a = node();
    expect(codeOf(put(a, row({ id: "good" }), bad))).toBe(code);
    expect([all(a), a.holdings().size]).toEqual([[], 0]);
  });
});

describe("users' SQL", () => {
  test("a row that takes over another's key with the same values is that key's row still", () => {
    const [a, b] = [node(), node()];
    const first = changeOf(sql(a, ["INSERT INTO t VALUES ('a', 'x', 1), ('b', 'x', 1)"])) as Change;
    const second = changeOf(
      sql(a, ["DELETE FROM t WHERE id = 'a'"], ["UPDATE t SET id = 'a' WHERE id = 'b'"]),
    ) as Change;
    b.apply([second, first]);
    expect(all(a)).toEqual([["a", "x", 1n]]);
    expect([all(b), b.digest()]).toEqual([all(a), a.digest()]);
    joiner(a);
  });

  test.each(["rowid", "oid", "_rowid_", "ROWID", '"rowid"', "id"])("a key moved by its name %s is seen", (name) => {
    const schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);";
    const a = node(schema);
    sql(a, ["INSERT INTO t VALUES (1, 'x'), (2, 'y')"]);
    expect(changeOf(sql(a, [`UPDATE t SET ${name} = 7 WHERE id = 1`]))?.version).toBe(2);
    expect(all(joiner(a, schema))).toEqual([[2n, "y"], [7n, "x"]]); // prettier-ignore
  });

  test.each(["UPDATE t SET \ufeff_patina_hlc = 9", "UPDATE t SET a = 1,\ufeff\ufeff_patina_hash = x'00'"])(
    "%j, which hides an engine's name behind a mark, is refused",
    (text) => {
      const a = node();
      sql(a, ["INSERT INTO t (id) VALUES ('a')"]);
      expect(codeOf(sql(a, [text]))).toBe("sql-not-allowed");
    },
  );

  test.each(["INSERT INTO t (id) VALUES (?)", "INSERT INTO t (id) VALUES (CAST(x'61eda080' AS TEXT))"])(
    "%s: a key that could not be found again is refused",
    (text) => {
      const a = node();
      const outcome = text.includes("?") ? sql(a, [text, "a\ud800"]) : sql(a, [text]);
      expect([codeOf(outcome), all(a)]).toEqual(["bad-request", []]);
    },
  );

  test("upserts, replaces, moves and no-ops in one write leave one change that says it all", () => {
    const [a, b] = [node(), node()];
    const first = changeOf(sql(a, ["INSERT INTO t VALUES ('a', 'x', 1), ('b', 'y', 2), ('c', 'z', 3)"])) as Change;
    const second = changeOf(
      sql(
        a,
        ["UPDATE t SET id = id || '1'"],
        ["REPLACE INTO t VALUES ('a', 'x', 1)"],
        ["DELETE FROM t WHERE id = 'a1'"],
        ["INSERT INTO t VALUES ('b1', 'q', 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 10 WHERE t.n = 2"],
        ["INSERT OR IGNORE INTO t VALUES ('c1', 'no', 0)"],
        ["UPDATE t SET a = o.id FROM t AS o WHERE o.n = t.n AND t.id = 'c1'"],
      ),
    ) as Change;
    b.apply([first, second]);
    expect(all(a)).toEqual([["a", "x", 1n], ["b1", "y", 12n], ["c1", "c1", 3n]]); // prettier-ignore
    expect([all(b), b.digest()]).toEqual([all(a), a.digest()]);
    expect(changeOf(sql(a, ["UPDATE t SET n = n + 0"]))).toBeUndefined();
    joiner(a);
  });
});

describe("what peers send", () => {
  test("a key whose bytes are not those the table would keep is put aside, not applied under another name", () => {
    const [a, b] = [node("CREATE TABLE t (id INTEGER NOT NULL, a TEXT, PRIMARY KEY (id)) WITHOUT ROWID;"), node()];
    const change = changeOf(put(a, row({ id: 5n, a: "x" }))) as Change;
    expect(b.apply([change]).quarantined.length).toBe(1);
    expect([all(b), b.quarantinedCount()]).toEqual([[], 1]);
  });

  test("a row that cannot be applied does not push the clock", () => {
    const [a, b] = [
      node(),
      node("CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT DEFAULT 'd', n INTEGER CHECK (n < 5));"),
    ];
    const ahead = (BigInt(WALL) << 16n) << 2n;
    const change = changeOf(put(a, row({ id: "k", n: 5n }, { stamp: { epoch: 0, hlc: ahead } }))) as Change;
    expect(b.apply([{ ...change, hlc: 1n }]).quarantined.length).toBe(1);
    expect(b.highWater()).toBe(1n);
  });

  test("a version that is held already is not taken again, not even with other bytes", () => {
    const [a, b] = [node(), node()];
    const change = changeOf(sql(a, ["INSERT INTO t (id) VALUES ('a')"])) as Change;
    b.apply([change]);
    b.apply([{ ...change, body: new Uint8Array([1, 2, 3]) }]);
    expect(b.extract(a.origin, Ranges.of(1, 1), 1000).changes).toEqual([change]);
  });

  test("when the disk is full nothing is held, nothing is counted, and after a restart it all works", () => {
    const [a, b] = [node(), node()];
    const small = changeOf(sql(a, ["INSERT INTO t (id) VALUES ('a')"])) as Change;
    const large = changeOf(sql(a, ["INSERT INTO t VALUES ('b', ?, 1)", "x".repeat(500_000)])) as Change;
    b.apply([small]);
    const before = [all(b), b.digest(), b.holdings()];
    b.read("PRAGMA max_page_count = 30");
    expect(() => b.apply([large], [{ origin: "0f".repeat(24), versions: Ranges.of(1, 9) }])).toThrow(AppError);
    expect([all(b), b.digest(), b.holdings()]).toEqual(before);
    expect(b.extract(a.origin, Ranges.of(1, 9), 1000).changes.length).toBe(1);
    b.read("PRAGMA max_page_count = 1000000");
    expect(() => b.apply([large])).toThrow(/disk is full/); // Until it is opened anew, nobody knows what else is wrong.
    const again = nodes.reopened(b);
    again.apply([large]);
    expect([all(again), again.digest(), again.holdings()]).toEqual([all(a), a.digest(), a.holdings()]);
  });
});

describe("what is read back", () => {
  test("large changes end an extract near its bytes, and the next one goes on from there", () => {
    const a = node();
    for (let i = 0; i < 60; i++) sql(a, ["INSERT INTO t VALUES (?, ?, 1)", `k${i}`, "x".repeat(20_000)]);
    let rest = Ranges.of(1, 60);
    for (let asked = 0; !rest.isEmpty; asked++) {
      expect(asked).toBeLessThan(30);
      const { changes, empty } = a.extract(a.origin, rest, 50_000);
      expect([changes.length, empty.isEmpty]).toEqual([Math.min(3, rest.size), true]);
      rest = rest.subtract(Ranges.from(changes.map(({ version }) => [version, version] as const)));
    }
  });

  test("versions that say nothing are called empty, in one go and around those that do", () => {
    const a = node();
    for (let i = 0; i < 40; i++) sql(a, ["INSERT OR REPLACE INTO t VALUES (?, 'x', ?)", `k${i % 3}`, BigInt(i)]);
    const { changes, empty } = a.extract(a.origin, Ranges.from([[1, 5], [8, 39], [90, 99]]), 1 << 20); // prettier-ignore
    expect([changes.map(({ version }) => version), empty.toString()]).toEqual([[38, 39], "1-5,8-37"]);
  });

  test("an app's high-water is the same on a node that never saw its deleted rows", () => {
    const schema = `-- @app a\n${T}`;
    const a = node(schema);
    sql(a, ["INSERT INTO t VALUES ('1', 'web', 1), ('2', 'web', 2)"]);
    sql(a, ["DELETE FROM t WHERE id = '2'"]);
    const [b, c] = [joiner(a, schema), joiner(joiner(a, schema), schema)];
    expect(a.apps.highWater("t", "web")).toBeGreaterThan(0n);
    expect([b.apps.highWater("t", "web"), c.apps.highWater("t", "web")]).toEqual([a.apps.highWater("t", "web"), a.apps.highWater("t", "web")]); // prettier-ignore
  });

  test("a row's app may be a part of its key", () => {
    const a = node("-- @app app\nCREATE TABLE t (app TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (app, id));");
    const born = put(a, row({ app: "web", id: "1" }));
    const gone = put(a, row({ app: "web", id: "1" }, { deleted: true }));
    const apps = [born, gone].map((it) => (it.ok ? it.rows.map(({ appBefore, app }) => [appBefore, app]) : []));
    expect(apps).toEqual([[[undefined, "web"]], [["web", undefined]]]);
    expect(a.apps.highWater("t", "web")).toBe(changeOf(gone)?.hlc);
  });
});
