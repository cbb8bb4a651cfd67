/** Live queries over a real store: what clients are told must always lead to what the query itself would answer. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, assert, type ChangedRow, must, type SqlValue } from "@patina/base";
import { SqliteStore } from "@patina/store";
import Database from "better-sqlite3";
import fc from "fast-check";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultLiveQueriesLimits, LiveQueries, type LiveQueriesLimits, type QueryChanges } from "./live-queries.js";
import type { LiveParams } from "./live-parameters.js";
import type { TableKeys } from "./live-query.js";

const SCHEMA = `
CREATE TABLE machines (
  id TEXT NOT NULL PRIMARY KEY,
  app TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'created',
  cpus INTEGER NOT NULL DEFAULT 1,
  note
);
CREATE TABLE "net ports" (
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  open INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (port, host)
);
CREATE TABLE labels (name TEXT NOT NULL PRIMARY KEY, value TEXT);
CREATE VIEW busy AS SELECT id FROM machines WHERE cpus > 1;
`;

const dir = mkdtempSync(join(tmpdir(), "patina-live-"));
const path = join(dir, "state.db");
const store = new SqliteStore({
  path,
  cluster: { name: "iad", generation: 1 },
  node: "1".padStart(32, "0"),
  newDbId: () => "a".repeat(16),
  schemaSql: SCHEMA,
});
const db = new Database(path, { readonly: true });
let live: LiveQueries;
let ids = 0;

function start(limits: Partial<LiveQueriesLimits> = {}): void {
  live = new LiveQueries(db, () => `q${++ids}`, { ...defaultLiveQueriesLimits, ...limits });
}

beforeEach(() => start());
afterEach(() => {
  for (const table of ["machines", '"net ports"', "labels"]) write(`DELETE FROM ${table}`);
});
afterAll(() => {
  db.close();
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function write(sql: string, ...params: SqlValue[]): TableKeys[] {
  const [outcome] = store.commit([{ kind: "statements", statements: [{ sql, params }] }], 1_790_000_000_000);
  if (outcome?.ok !== true) throw outcome?.error ?? new Error("no outcome");
  return keysOf(outcome.rows);
}

function keysOf(rows: readonly ChangedRow[]): TableKeys[] {
  return rows.map(({ table, key }) => ({ table, keys: [key] }));
}

type Change = readonly [kind: string, rowId: number, cells: unknown[], changeId: number];

function changesIn(lines: readonly string[]): Change[] {
  return lines.map((line) => (JSON.parse(line) as { change: Change }).change);
}

/** The changes a write makes to the only query there is. */
function after(sql: string, ...params: SqlValue[]): Change[] {
  return live.onChanges(write(sql, ...params)).flatMap(({ lines }) => changesIn(lines));
}

/** What a client knows: row id → cells. */
class Client {
  readonly id: string;
  readonly #rows = new Map<number, unknown>();
  #changeId: number;

  constructor(sql: string, params: LiveParams = []) {
    const { id, rows, changeId } = live.open(sql, params);
    this.id = id;
    this.#changeId = changeId;
    for (const { rowId, cells } of rows) this.#rows.set(rowId, JSON.parse(cells));
  }

  apply(all: readonly QueryChanges[]): this {
    for (const { id, lines } of all) if (id === this.id) this.#applyLines(lines);
    return this;
  }

  #applyLines(lines: readonly string[]): void {
    for (const [kind, rowId, cells, changeId] of changesIn(lines)) {
      const known = this.#rows.get(rowId);
      assert(changeId === ++this.#changeId, "changes are numbered one by one");
      assert((known === undefined) === (kind === "insert"), "a row is inserted once, and there until deleted");
      assert(kind !== "delete" || JSON.stringify(known) === JSON.stringify(cells), "a delete repeats the cells");
      if (kind === "delete") this.#rows.delete(rowId);
      else this.#rows.set(rowId, cells);
    }
  }

  rows(): string[] {
    return [...this.#rows.values()].map((cells) => JSON.stringify(cells)).sort();
  }
}

/** What a fresh query answers. */
function answer(sql: string, params: LiveParams = []): string[] {
  return new LiveQueries(db, () => "fresh")
    .open(sql, params)
    .rows.map(({ cells }) => cells)
    .sort();
}

function errorOf(work: () => unknown): AppError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

describe("what a client is told", () => {
  test("the rows there are, then each insert, update and delete under the row's own number", () => {
    write("INSERT INTO machines (id, state) VALUES ('a', 'started'), ('b', 'stopped')");
    const { rows, columns, changeId, table } = live.open("SELECT id, state AS s FROM machines", []);
    expect(rows.map(({ rowId, cells }) => [rowId, cells])).toEqual([
      [1, '["a","started"]'],
      [2, '["b","stopped"]'],
    ]);
    expect({ columns, changeId, table }).toEqual({ columns: ["id", "s"], changeId: 0, table: "machines" });
    expect(after("INSERT INTO machines (id) VALUES ('c')")).toEqual([["insert", 3, ["c", "created"], 1]]);
    expect(after("UPDATE machines SET state = 'failed' WHERE id = 'a'")).toEqual([["update", 1, ["a", "failed"], 2]]);
    expect(after("DELETE FROM machines WHERE id = 'a'")).toEqual([["delete", 1, ["a", "failed"], 3]]);
    expect(after("INSERT INTO machines (id) VALUES ('a')")).toEqual([["insert", 4, ["a", "created"], 4]]);
  });

  test("nothing about a change outside its columns or its WHERE, or about a key reported twice", () => {
    write("INSERT INTO machines (id) VALUES ('a')");
    live.open("SELECT id, state FROM machines WHERE cpus < 10", []);
    expect(after("UPDATE machines SET note = 'x', cpus = 2")).toEqual([]);
    const keys = write("UPDATE machines SET state = 'started'");
    expect(live.onChanges(keys)).toHaveLength(1);
    expect(live.onChanges(keys)).toEqual([]);
    expect(after("INSERT INTO machines (id, cpus) VALUES ('big', 64)")).toEqual([]);
    expect(after("DELETE FROM machines WHERE id = 'big'")).toEqual([]);
    expect(after("INSERT INTO labels VALUES ('x', 'y')")).toEqual([]);
  });

  test("a row that moves into the WHERE is inserted, one that moves out is deleted", () => {
    write("INSERT INTO machines (id, cpus) VALUES ('a', 1)");
    live.open("SELECT id FROM machines WHERE cpus > 1", []);
    expect(after("UPDATE machines SET cpus = 2")).toEqual([["insert", 1, ["a"], 1]]);
    expect(after("UPDATE machines SET cpus = 1")).toEqual([["delete", 1, ["a"], 2]]);
  });

  test("cells as JSON: safe integers as numbers, larger ones as text, blobs as arrays", () => {
    live.open("SELECT note FROM machines", []);
    write("INSERT INTO machines (id) VALUES ('a')");
    const cellsOf = (value: SqlValue): unknown => after("UPDATE machines SET note = ?", value)[0]?.[2][0];
    expect(cellsOf(2n ** 53n - 1n)).toBe(2 ** 53 - 1);
    expect(cellsOf(2n ** 53n)).toBe("9007199254740992");
    expect(cellsOf(new Uint8Array([1, 255]))).toEqual([1, 255]);
    expect(cellsOf(1.5)).toBe(1.5);
    expect(cellsOf(null)).toBe(null);
    expect(cellsOf('"\n')).toBe('"\n');
  });
});

describe("queries that are followed", () => {
  const followed: readonly (readonly [string, LiveParams])[] = [
    ["SELECT * FROM machines", []],
    ["select m.* from Machines as m where m.app = 'x';", []],
    ["SELECT id AS app, app AS id FROM machines WHERE id <> 'a'", []],
    ["SELECT upper(state) || '!' , max(cpus, 2), CAST(cpus AS VARCHAR(9)) FROM machines m -- all of them", []],
    ["SELECT id FROM [machines]", []],
    ["SELECT id FROM machines WHERE app = ? AND cpus IN (?, ?)", ["x", 1n, 2n]],
    ["SELECT id, ?2 FROM machines WHERE app = ?1 OR app = ?2", ["x", "y"]],
    ["SELECT id, :n + cpus FROM machines WHERE app = @app OR state = $state", { n: 1n, app: "x", state: "started" }],
    ["SELECT id FROM machines WHERE app = :app AND cpus > ?", ["x", 1n]],
    ["SELECT id FROM machines WHERE app = 'x' OR app = 'y'", []],
    ["SELECT id FROM machines WHERE note IS NOT DISTINCT FROM app OR note IS NULL /* trailing", []],
    [
      "SELECT cpus IS DISTINCT FROM 1 FROM machines WHERE CASE WHEN cpus BETWEEN 1 AND 2 THEN (app) ELSE 0 END = 'x'",
      [],
    ],
    ["SELECT 'SELECT ; --', id FROM machines WHERE state LIKE 's%' AND NOT (state LIKE '%ing')", []],
  ];
  test.each(followed)("%s", (sql, params) => {
    write("INSERT INTO machines (id, app, cpus) VALUES ('a', 'x', 1), ('b', 'y', 2), ('p1', 'x', 3), ('k0', 'z', 1)");
    const client = new Client(sql, params);
    const statements = [
      "UPDATE machines SET app = 'x', state = 'started' WHERE id IN ('b', 'k0')",
      "INSERT INTO machines (id, app, cpus, note) VALUES ('c', 'x', 2, 'x'), ('d', 'y', 1, 'n')",
      "UPDATE machines SET app = 'y', cpus = cpus + 1",
      "DELETE FROM machines WHERE id = 'a'",
      "UPDATE machines SET id = 'e', app = 'x' WHERE id = 'c'",
    ];
    for (const statement of statements) {
      client.apply(live.onChanges(write(statement)));
      expect(client.rows()).toEqual(answer(sql, params));
    }
  });

  test("composite keys, in key order, whatever the select list says", () => {
    write(`INSERT INTO "net ports" (host, port) VALUES ('h', 1), ('h', 2), ('i', 1)`);
    const sql = `SELECT open FROM "net ports" p WHERE host = 'h'`;
    const client = new Client(sql);
    expect(client.apply(live.onChanges(write(`UPDATE "net ports" SET open = 1 WHERE port = 1`))).rows()).toEqual(
      answer(sql),
    );
    expect(client.apply(live.onChanges(write(`DELETE FROM "net ports" WHERE port = 2`))).rows()).toEqual(["[1]"]);
  });

  test("keys that compare equal but are spelled otherwise", () => {
    write("INSERT INTO labels VALUES ('Env', '1')");
    const client = new Client("SELECT name, value FROM labels");
    client.apply(live.onChanges(write("DELETE FROM labels")));
    const both = [...write("INSERT INTO labels VALUES ('env', '2')"), { table: "labels", keys: [["Env"]] }];
    expect(client.apply(live.onChanges(both)).rows()).toEqual(['["env","2"]']);
  });
});

describe("many queries", () => {
  test("the same text and parameters are one query; others are not", () => {
    const sql = "SELECT id FROM machines WHERE app = ?";
    const first = live.open(sql, ["x"]);
    expect(live.open(sql, ["x"])).toEqual(first);
    expect(live.find(sql, ["y"])).toBeUndefined();
    const other = live.open(sql, ["y"]);
    expect([other.id, other.hash]).not.toEqual([first.id, first.hash]);
    expect(live.onChanges(write("INSERT INTO machines (id, app) VALUES ('a', 'y')"))).toMatchObject([{ id: other.id }]);
    live.close(first.id);
    expect(live.find(sql, ["x"])).toBeUndefined();
    expect(errorOf(() => live.snapshot(first.id)).code).toBe("subscription-unknown");
  });

  test("joining later starts from the rows as they are, with the change they stand at", () => {
    const sql = "SELECT id FROM machines";
    const { id } = live.open(sql, []);
    after("INSERT INTO machines (id) VALUES ('a'), ('b')");
    after("DELETE FROM machines WHERE id = 'a'");
    expect(live.open(sql, [])).toMatchObject({ id, rows: [{ rowId: 2, cells: '["b"]' }], changeId: 3 });
  });

  test("the changes after one are given again while they are kept", () => {
    start({ changesKeptMax: 3 });
    const { id } = live.open("SELECT id FROM machines", []);
    for (let i = 1; i <= 10; i++) after("INSERT INTO machines (id) VALUES (?)", `m${i}`);
    expect(changesIn(live.changesAfter(id, 8)).map(([, , , changeId]) => changeId)).toEqual([9, 10]);
    expect(live.changesAfter(id, 7)).toHaveLength(3);
    expect(live.changesAfter(id, 10)).toEqual([]);
    for (const from of [6, 0, 11]) expect(errorOf(() => live.changesAfter(id, from)).code).toBe("subscription-unknown");
  });

  test("limits: queries, rows of one, rows of all", () => {
    start({ queriesMax: 2, rowsMax: 3, rowsTotalMax: 5 });
    write("INSERT INTO machines (id, app) VALUES ('a', 'x'), ('b', 'x'), ('c', 'x'), ('d', 'y')");
    expect(errorOf(() => live.open("SELECT id FROM machines", [])).code).toBe("too-many");
    const { id } = live.open("SELECT id FROM machines WHERE app = 'x'", []);
    const [changes] = live.onChanges(write("UPDATE machines SET app = 'x'"));
    expect(changes).toMatchObject({ id, ended: { code: "too-many" } });
    expect(errorOf(() => live.snapshot(id)).code).toBe("subscription-unknown");

    write("DELETE FROM machines WHERE id = 'd'");
    live.open("SELECT id FROM machines", []);
    expect(errorOf(() => live.open("SELECT id, app FROM machines", [])).message).toContain("more than 2 rows");
    live.open("SELECT name FROM labels", []);
    expect(errorOf(() => live.open("SELECT value FROM labels", [])).message).toContain("2 live queries");
  });

  test("a query that cannot be evaluated on a new row ends alone", () => {
    const bad = live.open("SELECT json_extract(note, '$.a') FROM machines", []);
    const good = live.open("SELECT note FROM machines", []);
    const changes = live.onChanges(write("INSERT INTO machines (id, note) VALUES ('a', 'no json')"));
    expect(changes).toMatchObject([
      { id: bad.id, ended: { code: "sql-error" } },
      { id: good.id, ended: undefined },
    ]);
  });

  test("a rescan finds what was never reported", () => {
    const client = new Client("SELECT id, cpus FROM machines WHERE cpus < 5");
    write("INSERT INTO machines (id) VALUES ('a'), ('b'), ('c')");
    expect(client.apply(live.rescan(client.id)).rows()).toHaveLength(3);
    write("UPDATE machines SET cpus = 2 WHERE id = 'a'");
    write("UPDATE machines SET cpus = 9 WHERE id = 'b'");
    expect(client.apply(live.rescan(client.id)).rows()).toEqual(['["a",2]', '["c",1]']);
    expect(live.rescan(client.id)).toEqual([]);
    expect(live.rescan("gone")).toEqual([]);
  });
});

test("applying the events to the snapshot always equals running the query again", () => {
  const id = fc.constantFrom("a", "b", "c", "d", "e");
  const app = fc.constantFrom("x", "y", "");
  const cpus = fc.integer({ min: 0, max: 4 }).map(BigInt);
  const step = fc.oneof(
    fc.tuple(
      fc.constant("INSERT INTO machines (id, app, cpus) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"),
      id,
      app,
      cpus,
    ),
    fc.tuple(fc.constant("INSERT OR REPLACE INTO machines (id, app, cpus) VALUES (?, ?, ?)"), id, app, cpus),
    fc.tuple(fc.constant("UPDATE machines SET app = ?, cpus = ? WHERE id = ?"), app, cpus, id),
    fc.tuple(fc.constant("UPDATE machines SET cpus = cpus + 1 WHERE app = ?"), app),
    fc.tuple(fc.constant("DELETE FROM machines WHERE id = ? OR cpus = ?"), id, cpus),
  );
  const queries: readonly (readonly [string, LiveParams])[] = [
    ["SELECT * FROM machines", []],
    ["SELECT id, cpus % 2 AS odd FROM machines m WHERE m.cpus >= ?", [2n]],
    ["SELECT app FROM machines WHERE app = :a OR cpus = :c", { a: "x", c: 0n }],
  ];
  const batches = fc.array(fc.record({ steps: fc.array(step, { maxLength: 4 }), rescan: fc.boolean() }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(batches, (rounds) => {
      write("DELETE FROM machines");
      start();
      const clients = queries.map(([sql, params]) => new Client(sql, params));
      for (const { steps, rescan } of rounds) {
        const keys = steps.flatMap(([sql, ...params]) => write(sql, ...params));
        const changes = rescan ? clients.flatMap((client) => live.rescan(client.id)) : live.onChanges(keys);
        clients.forEach((client, i) => {
          const [sql, params] = queries[i] ?? ["", []];
          expect(client.apply(changes).rows()).toEqual(answer(sql, params));
        });
      }
    }),
    { numRuns: 60 },
  );
});

test("a query whose columns the schema changes is ended, and asked again has the new ones", () => {
  const query = live.open("SELECT * FROM labels", []);
  const other = live.open("SELECT name, value FROM labels", []);
  const plan = store.schemas.plan(`${SCHEMA.replace("value TEXT", "value TEXT, hue TEXT NOT NULL DEFAULT 'red'")}`, []);
  const [outcome] = store.commit([{ kind: "rows", rows: [must(plan.write, "a write")] }], 1_790_000_000_001);
  expect(outcome?.ok).toBe(true);
  const changes = live.onChanges(write("INSERT INTO labels (name, value) VALUES ('a', 'b')"));
  expect(changes.find(({ id }) => id === query.id)?.ended?.code).toBe("subscription-unknown");
  expect(changes.find(({ id }) => id === other.id)).toMatchObject({ ended: undefined, lines: [expect.any(String)] });
  expect(live.open("SELECT * FROM labels", [])).toMatchObject({ columns: ["name", "value", "hue"], rows: [{}] });
});
