/** A schema applied once is adopted everywhere, costs no row, and no mix of schemas fails an apply or loses a value. */
import { AppError, type Change, heldVersions, must, type SqlValue } from "@patina/base";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { SqliteStore } from "../sqlite-store.js";
import { ScratchNodes } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const BASE = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL DEFAULT '');";
const WIDER =
  "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT NOT NULL DEFAULT '', zone TEXT DEFAULT 'z', n INTEGER);";
const nodes = new ScratchNodes("schema");
const node = (schemaSql = BASE): SqliteStore => nodes.open(schemaSql);
const reopened = (store: SqliteStore, schemaSql?: string): SqliteStore => nodes.reopened(store, schemaSql);

afterEach(() => nodes.end());
afterAll(() => nodes.remove());

let tick = 0;

function sql(store: SqliteStore, text: string, ...params: SqlValue[]): Change {
  const [outcome] = store.commit([{ kind: "statements", statements: [{ sql: text, params }] }], WALL + ++tick);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

function put(store: SqliteStore, values: Record<string, SqlValue>): Change {
  const [outcome] = store.commit([{ kind: "rows", rows: [{ table: "t", values }] }], WALL + ++tick);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

function apply(store: SqliteStore, schema: string, ignored: string[] = []): Change {
  const { write } = store.schemas.plan(schema, ignored);
  const [outcome] = store.commit([{ kind: "rows", rows: [must(write, "something to apply")] }], WALL + ++tick);
  if (outcome?.ok !== true) throw must(outcome, "an outcome").error;
  return must(outcome.change, "a change");
}

/** Everything `from` can give, as it is read back from its rows. */
function pull(to: SqliteStore, from: SqliteStore): void {
  for (const [origin, holding] of from.holdings()) {
    const wanted = heldVersions(holding).subtract(heldVersions(to.holdings().get(origin) ?? { head: 0, gaps: heldVersions(holding).subtract(heldVersions(holding)) })); // prettier-ignore
    const { changes, empty } = from.extract(origin, wanted, 1 << 30);
    expect(to.apply(changes, [{ origin, versions: empty }]).quarantined).toEqual([]);
  }
}

const all = (store: SqliteStore, table = "t"): SqlValue[][] => store.read(`SELECT * FROM ${table} ORDER BY 1`);
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (thrown) {
    return thrown instanceof AppError ? thrown.code : String(thrown);
  }
  return "ok";
};

describe("an additive schema", () => {
  test("is applied at one member, adopted by the others, and touches no row", () => {
    const [a, b] = [node(), node()];
    const row = sql(a, "INSERT INTO t VALUES ('1', 'x')");
    b.apply([row]);
    const before = a.tableDigests()["t"];
    const change = apply(a, WIDER);
    expect(all(a)).toEqual([["1", "x", "z", null]]);
    expect(a.tableDigests()["t"]).toBe(before);
    expect(change.body.length).toBeLessThan(WIDER.length + 200); // The text itself, and nothing of any row.
    expect(b.apply([change]).rows.map(({ table }) => table)).toEqual(["_patina_schemas"]);
    expect(all(b)).toEqual(all(a));
    expect([b.digest(), b.schemas.current().hash, b.schemas.current().history[0]?.version]).toEqual([
      a.digest(),
      a.schemas.current().hash,
      1,
    ]);
    b.apply([sql(a, "UPDATE t SET n = 5 WHERE id = '1'")]);
    expect(all(reopened(b))).toEqual([["1", "x", "z", 5n]]);
  });

  test("that changes nothing makes no version, one that is wrong changes nothing", () => {
    const a = node();
    apply(a, WIDER);
    expect(a.schemas.plan(`${WIDER}\n-- a remark`).write).toBeUndefined();
    expect(codeOf(() => a.schemas.plan("CREATE TABLE"))).toBe("schema-invalid");
    expect(codeOf(() => a.schemas.plan(WIDER.replace("n INTEGER", "n TEXT")))).toBe("schema-destructive");
    expect(codeOf(() => a.schemas.plan(BASE))).toBe("schema-destructive");
    expect(codeOf(() => a.schemas.plan(WIDER, ["t.a"]))).toBe("bad-request");
    expect(a.schemas.plan(`${WIDER} CREATE INDEX by_n ON t (n); CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);`).plan).toEqual({ adds: ["table u", "index by_n"], removes: [], conflicts: [] }); // prettier-ignore
  });

  test("shipped with a newer program is taken while no other was applied, and is no match for one that was", () => {
    const a = node();
    sql(a, "INSERT INTO t (id) VALUES ('1')");
    const upgraded = reopened(a, WIDER);
    expect(all(upgraded)).toEqual([["1", "", "z", null]]);
    apply(upgraded, `${WIDER} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);`);
    expect(reopened(upgraded).columns("u")).toEqual(["id"]);
  });
});

describe("rows of a schema that is not here yet", () => {
  test("are kept whole across restarts, passed on, and shown when the schema comes", () => {
    const [a, b, c] = [node(), node(), node()];
    const schema = apply(a, `${WIDER} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, v INTEGER);`);
    const rows = [
      sql(a, "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'z', NULL)"),
      sql(a, "INSERT INTO u VALUES ('k', 1), ('gone', 2)"),
      sql(a, "DELETE FROM u WHERE id = 'gone'"),
    ];
    for (const change of rows) expect(b.apply([change]).quarantined).toEqual([]); // The schema itself is still on its way.
    expect(all(b)).toEqual([["1", "x"], ["2", "y"]]); // prettier-ignore
    expect(b.tableDigests()["u"]).toBe(a.tableDigests()["u"]);
    const again = reopened(b);
    pull(c, again);
    c.apply([schema]);
    again.apply([schema]);
    for (const store of [again, c]) {
      expect([all(store), all(store, "u")]).toEqual([all(a), all(a, "u")]);
      expect(store.digest()).toBe(a.digest());
    }
  });

  test("a local write here keeps what it does not know, and a delete leaves nothing behind", () => {
    const [a, b] = [node(), node()];
    const schema = apply(a, WIDER);
    b.apply([sql(a, "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'fra', 8)")]);
    const touched = [sql(b, "UPDATE t SET a = 'b' WHERE id = '1'"), sql(b, "DELETE FROM t WHERE id = '2'")];
    for (const change of [...touched, put(b, { id: "1", a: "c" })]) a.apply([change]);
    b.apply([schema]);
    expect(all(a)).toEqual([["1", "c", "ams", 7n]]);
    expect(all(b)).toEqual(all(a));
    expect(b.digest()).toBe(a.digest());
  });
});

describe("two schemas applied at once", () => {
  const text = `${BASE.slice(0, -2)}, x TEXT);`;
  const number = `${BASE.slice(0, -2)}, x INTEGER, y TEXT);`;

  test("resolve to one everywhere, and what was written under the other is not lost", () => {
    const [a, b, c] = [node(), node(), node()];
    const schemas = [apply(a, text), apply(b, number)]; // The second has the greater stamp.
    const rows = [
      sql(a, "INSERT INTO t VALUES ('1', 'a', 'word'), ('2', 'a', '5')"),
      sql(b, "INSERT INTO t VALUES ('3', 'b', 6, 'why')"),
    ];
    for (const store of [a, b, c]) {
      const mine = [...schemas, ...rows].filter(({ origin }) => origin !== store.origin);
      for (const change of store === c ? mine.toReversed() : mine) store.apply([change]);
    }
    for (const store of [a, b, c]) {
      expect(store.schemas.current().history.map(({ version, author }) => [version, author])).toEqual([
        [1, b.origin.slice(0, 32)],
      ]);
      expect(store.digest()).toBe(b.digest());
      expect(store.quarantinedCount()).toBe(0);
      expect(all(store)).toEqual(all(b));
    }
    expect(all(c)).toEqual([["1", "a", "word", null], ["2", "a", null, null], ["3", "b", 6n, "why"]]); // prettier-ignore
    const write = sql(c, "UPDATE t SET x = 9 WHERE id = '2'");
    for (const store of [a, b]) store.apply([write]);
    for (const store of [a, b, c]) expect([all(store)[1], store.digest()]).toEqual([["2", "a", 9n, null], a.digest()]);
  });

  test("a table that both made with another key keeps the winner's rows in sight and the loser's aside", () => {
    const [a, b] = [node(), node()];
    const wins = `${BASE} CREATE TABLE u (k INTEGER NOT NULL, l TEXT NOT NULL, PRIMARY KEY (k, l));`;
    const first = apply(a, `${BASE} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);`);
    const second = apply(b, wins);
    const [own, other] = [sql(a, "INSERT INTO u VALUES ('lost')"), sql(b, "INSERT INTO u VALUES (1, 'kept')")];
    for (const change of [second, other]) a.apply([change]);
    for (const change of [first, own]) b.apply([change]);
    expect(all(a, "u")).toEqual([[1n, "kept"]]);
    expect([all(b, "u"), b.digest()]).toEqual([all(a, "u"), a.digest()]);
    expect(all(reopened(a), "u")).toEqual([[1n, "kept"]]);
  });
});

describe("a destructive schema", () => {
  test("hides what it names, keeps its data, and gives it back when it returns", () => {
    const [a, b] = [node(WIDER), node(WIDER)];
    b.apply([sql(a, "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'z', 8)")]);
    const digest = a.tableDigests()["t"];
    const hiding = apply(a, BASE, ["t.zone", "t.n"]);
    expect(all(a)).toEqual([["1", "x"], ["2", "y"]]); // prettier-ignore
    expect(a.tableDigests()["t"]).toBe(digest);
    expect(codeOf(() => sql(a, "UPDATE t SET n = 1"))).toBe("sql-error");
    const change = sql(a, "UPDATE t SET a = 'new' WHERE id = '1'");
    const object = put(a, { id: "2", a: "y2" });
    for (const it of [hiding, change, object]) b.apply([it]);
    const back = apply(b, WIDER);
    a.apply([back]);
    for (const store of [a, b]) expect(all(store)).toEqual([["1", "new", "ams", 7n], ["2", "y2", "z", 8n]]); // prettier-ignore
    expect(a.digest()).toBe(b.digest());
  });

  test("drops what was hidden: it is erased everywhere, also from what still arrives, and may come back as another", () => {
    const schema = `${WIDER} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);`;
    const [a, b] = [node(schema), node(schema)];
    const old = [
      sql(a, "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'z', 8), ('3', 'w', 'z', NULL)"),
      sql(a, "INSERT INTO u VALUES ('1'), ('2')"),
    ];
    const hiding = apply(a, BASE, ["t.zone", "t.n", "u"]);
    expect(codeOf(() => a.schemas.drop(["t.a"]))).toBe("bad-request");
    const [outcome] = a.commit([{ kind: "rows", rows: [a.schemas.drop(["t.zone", "t.n", "u"])] }], WALL + ++tick);
    const dropping = must(outcome?.ok === true ? outcome.change : undefined, "a change");
    expect(a.comparableDigest()).toBeUndefined();
    while (a.maintain(2));
    for (const change of [hiding, dropping, ...old]) b.apply([change]); // What was written before comes last.
    while (b.maintain(2));
    expect(a.comparableDigest()).toBe(b.comparableDigest());
    expect([a.comparableDigest() !== undefined, all(b), Object.keys(b.tableDigests()).includes("u")]).toEqual([true, [["1", "x"], ["2", "y"], ["3", "w"]], false]); // prettier-ignore
    const back = apply(b, `${BASE.slice(0, -2)}, n TEXT); CREATE TABLE u (k INTEGER NOT NULL PRIMARY KEY);`);
    a.apply([back]);
    a.apply([sql(b, "UPDATE t SET n = 'seven' WHERE id = '1'")]);
    a.apply([sql(b, "INSERT INTO u VALUES (5)")]);
    expect([all(a), all(a, "u")]).toEqual([[["1", "x", "seven"], ["2", "y", null], ["3", "w", null]], [[5n]]]); // prettier-ignore
    expect(reopened(a).comparableDigest()).toBe(b.comparableDigest());
  });

  test("drops what a member never had a table for: what waited there goes, whichever came first", () => {
    const [OTHER, gone] = [
      "CREATE TABLE o (id TEXT NOT NULL PRIMARY KEY);",
      "CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);",
    ];
    const a = node(`${WIDER} ${OTHER} ${gone}`);
    const drop = (...names: string[]): Change => {
      const [outcome] = a.commit([{ kind: "rows", rows: [a.schemas.drop(names)] }], WALL + ++tick);
      return must(outcome?.ok === true ? outcome.change : undefined, "a change");
    };
    const rows = [
      sql(a, "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'z', 8), ('3', 'w', 'z', NULL)"),
      sql(a, "INSERT INTO u VALUES ('1'), ('2'), ('3'), ('4'), ('5')"),
      sql(a, "DELETE FROM u WHERE id = '5'"),
    ];
    const versions = [
      apply(a, `${BASE} ${OTHER}`, ["t.zone", "t.n", "u"]),
      drop("t.zone", "t.n", "u"),
      apply(a, OTHER, ["t"]), // Who comes now has no table t, and keeps its rows aside for whoever has.
    ];
    while (a.maintain(2));
    for (const order of [
      [...rows, ...versions],
      [...versions, ...rows],
      [...rows, ...versions.toReversed()],
    ]) {
      const late = node(OTHER);
      late.apply(order);
      while (late.maintain(2));
      expect(late.comparableDigest()).toBe(a.comparableDigest());
      expect(Object.keys(late.tableDigests())).toEqual(["_patina_schemas", "t"]);
      const again = reopened(late);
      expect(again.comparableDigest()).toBe(a.comparableDigest());
      apply(again, `${OTHER} ${BASE}`);
      expect(all(again)).toEqual([["1", "x"], ["2", "y"], ["3", "w"]]); // prettier-ignore
    }
  });

  test("a name that was dropped and is used again brings nothing back, at whoever missed the drop, in any order", () => {
    const schema = `${WIDER} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY, n INTEGER);`;
    const [a, ...others] = Array.from({ length: 5 }, () => node(schema));
    if (a === undefined) throw new Error("no node");
    const old = [
      sql(
        a,
        "INSERT INTO t VALUES ('1', 'x', 'ams', 7), ('2', 'y', 'z', 8), ('3', 'w', 'z', NULL), ('4', 'v', 'z', 9)",
      ),
      sql(a, "INSERT INTO u VALUES ('1', 1), ('2', 2), ('3', 3)"),
      sql(a, "DELETE FROM u WHERE id = '3'"),
    ];
    const hiding = apply(a, BASE, ["t.zone", "t.n", "u"]);
    const [outcome] = a.commit([{ kind: "rows", rows: [a.schemas.drop(["t.zone", "t.n", "u"])] }], WALL + ++tick);
    const dropping = must(outcome?.ok === true ? outcome.change : undefined, "a change");
    while (a.maintain(2));
    const back = [apply(a, schema), sql(a, "INSERT INTO u VALUES ('2', 20), ('9', 90)"), sql(a, "UPDATE t SET n = 70 WHERE id = '1'")]; // prettier-ignore
    while (a.maintain(2));
    expect([all(a, "u"), all(a)]).toEqual([
      [["2", 20n], ["9", 90n]],
      [["1", "x", "z", 70n], ["2", "y", "z", null], ["3", "w", "z", null], ["4", "v", "z", null]],
    ]); // prettier-ignore
    const orders = [
      [...old, hiding, dropping, ...back], // At once: the drop was never swept.
      [...old, hiding, ...back, dropping],
      [...old, ...back.toReversed(), dropping, hiding],
      [hiding, dropping, ...back, ...old],
    ];
    for (const [i, order] of orders.entries()) {
      const store = must(others[i], "a store");
      for (const change of order) store.apply([change]);
      while (store.maintain(2));
      const again = (others[i] = reopened(store));
      expect([i, all(again, "u"), all(again)]).toEqual([i, all(a, "u"), all(a)]);
      expect([i, again.comparableDigest(), again.quarantinedCount()]).toEqual([i, a.comparableDigest(), 0]);
    }
    a.apply([sql(must(others[2], "a store"), "INSERT INTO u VALUES ('1', 10)")]);
    expect(all(a, "u")).toEqual([["1", 10n], ["2", 20n], ["9", 90n]]); // prettier-ignore
  });

  test("a hidden table is gone for users, and its rows still reach those who come later", () => {
    const schema = `${BASE} CREATE TABLE u (id TEXT NOT NULL PRIMARY KEY);`;
    const [a, late] = [node(schema), node(schema)];
    sql(a, "INSERT INTO u VALUES ('1')");
    apply(a, BASE, ["u"]);
    expect(codeOf(() => sql(a, "INSERT INTO u VALUES ('2')"))).toBe("sql-error");
    pull(late, a);
    expect([late.digest(), late.schemas.current().sql]).toEqual([a.digest(), BASE]);
    apply(late, schema);
    expect(all(late, "u")).toEqual([["1"]]);
  });
});

test("schema files written for Corrosion load as they are", () => {
  const store = node(`
    CREATE TABLE consul_services (
        node TEXT NOT NULL,
        id TEXT NOT NULL,
        name TEXT NOT NULL DEFAULT '',
        tags TEXT NOT NULL DEFAULT '[]',
        meta TEXT NOT NULL DEFAULT '{}',
        port INTEGER NOT NULL DEFAULT 0,
        address TEXT NOT NULL DEFAULT "",
        updated_at INTEGER NOT NULL DEFAULT 0,
        app_id INTEGER AS (CAST(JSON_EXTRACT(meta, '$.app_id') AS INTEGER)),
        instance_id TEXT AS (COALESCE(JSON_EXTRACT(meta, '$.machine_id'), SUBSTR(JSON_EXTRACT(meta, '$.alloc_id'), 1, 8))),
        PRIMARY KEY (node, id)
    ) WITHOUT ROWID;
    CREATE INDEX consul_services_app_id ON consul_services (app_id);
    CREATE TABLE kv (k BLOB NOT NULL PRIMARY KEY, v ANY, n INTEGER CHECK (n IS NULL OR n >= 0), j TEXT CHECK (json_valid(j)));
    CREATE TABLE strict_kv (k TEXT PRIMARY KEY NOT NULL, v ANY) STRICT;`);
  sql(store, "INSERT INTO consul_services (node, id, meta) VALUES ('n', 'i', ?)", '{"app_id": 5, "machine_id": "m"}');
  expect(store.read("SELECT app_id, instance_id FROM consul_services WHERE app_id = 5")).toEqual([[5n, "m"]]);
  sql(store, "INSERT INTO kv VALUES (x'01', '5', 1, '{}')");
  const [put] = store.commit([{ kind: "rows", rows: [{ table: "kv", values: { k: new Uint8Array([2]), v: "6" } }, { table: "strict_kv", values: { k: "s", v: "6" } }] }], WALL); // prettier-ignore
  expect(put?.ok).toBe(true);
  expect(store.read("SELECT v FROM kv ORDER BY k")).toEqual([[5n], [6n]]);
  expect(store.read("SELECT v FROM strict_kv")).toEqual([["6"]]);
  expect(codeOf(() => sql(store, "INSERT INTO kv (k, n) VALUES (x'03', -1)"))).toBe("sql-error");
});
