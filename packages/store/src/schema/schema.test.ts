/** What a schema may say, what is read out of it, and how a file moves from one schema to the next. */
import { AppError } from "@patina/base";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Aside } from "../rows/aside.js";
import { Extras } from "../rows/extras.js";
import { createEngineTables, tableOf } from "../database/layout.js";
import { migrate } from "./migrate.js";
import { parseSchema } from "./schema.js";
import { assertAdditive, planSchema } from "./schema-plan.js";

const KEY = "id TEXT NOT NULL PRIMARY KEY";
const defaultOf = (column: string, options = ""): unknown =>
  parseSchema(`CREATE TABLE t (${KEY}, ${column}) ${options}`).tables[0]?.columns[1]?.defaultValue;

function errorOf(work: () => unknown): AppError {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error("nothing thrown");
}

describe("a schema", () => {
  test("is read back as SQLite understood it", () => {
    const sql = `-- machines
-- @app app
-- what runs
CREATE TABLE IF NOT EXISTS "m x" (b TEXT NOT NULL DEFAULT 'x, (y)', a INTEGER, app TEXT, n INT AS (a + 1),
  CHECK (a > 0), PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID;
CREATE TABLE u (id INTEGER PRIMARY KEY);
CREATE INDEX i ON "m x" (app) WHERE app <> '';
CREATE VIEW v AS SELECT 1;`;
    const schema = parseSchema(sql);
    const [table, other] = schema.tables;
    expect([table?.name, table?.key, table?.appColumn, other?.key, other?.appColumn]).toEqual(["m x", ["b", "a"], "app", ["id"], undefined]); // prettier-ignore
    expect(table?.columns.map(({ name, isKey, isGenerated }) => [name, isKey, isGenerated])).toEqual([
      ["b", true, false],
      ["a", true, false],
      ["app", false, false],
      ["n", false, true],
    ]);
    expect(table?.columns[0]?.definition).toBe("b TEXT NOT NULL DEFAULT 'x, (y)'");
    expect(schema.indexes.map(({ name, table: on }) => [name, on])).toEqual([["i", "m x"]]);
    expect(schema.views.map(({ name }) => name)).toEqual(["v"]);
    expect(tableOf(table as never)).toMatchObject({ insertColumns: ["b", "a", "app"], appIndex: 0, appKeyIndex: -1 });
    expect(parseSchema(`${sql} `).hash).not.toBe(schema.hash);
  });

  test.each<[string, unknown]>([
    ["v TEXT", null],
    ["v TEXT DEFAULT NULL", null],
    ["v TEXT DEFAULT 5", "5"],
    ["v INTEGER DEFAULT '5'", 5n],
    ["v REAL DEFAULT 1", 1],
    ["v REAL DEFAULT -1.5", -1.5],
    ["v INTEGER DEFAULT -9223372036854775808", -(2n ** 63n)],
    ["v BLOB DEFAULT x'0102'", Buffer.from([1, 2])],
    ["v DEFAULT true", 1n],
    ["v TEXT DEFAULT (1 + 2)", "3"],
    ["v TEXT DEFAULT 'a (b)'", "a (b)"],
    ["v ANY DEFAULT '5'", 5n],
    ['v TEXT DEFAULT ""', ""],
    ['v TEXT DEFAULT "it\'s"', "it's"],
  ])("the default of %s is %s", (column, expected) => {
    expect(defaultOf(column)).toEqual(expected);
  });

  test("ANY keeps a default's type in a strict table, where it has no affinity", () => {
    expect(defaultOf("v ANY DEFAULT '5'", "STRICT")).toBe("5");
  });

  test.each<[string, string]>([
    ["CREATE TABLE t (id TEXT PRIMARY KEY)", "may be null"],
    ["CREATE TABLE t (a INTEGER, b TEXT NOT NULL, PRIMARY KEY (a, b))", "may be null"],
    ["CREATE TABLE t (a INTEGER PRIMARY KEY DESC)", "may be null"],
    ["CREATE TABLE t (a TEXT)", "no primary key"],
    ["CREATE TABLE t (id TEXT COLLATE NOCASE NOT NULL PRIMARY KEY)", "collation NOCASE"],
    ["CREATE TABLE t (id TEXT NOT NULL, PRIMARY KEY (id COLLATE RTRIM)) WITHOUT ROWID", "collation RTRIM"],
    ["CREATE TABLE t (id NOT NULL PRIMARY KEY)", "without a type"],
    ["CREATE TABLE t (id ANY NOT NULL PRIMARY KEY) STRICT", "without a type"],
    [`CREATE TABLE t (${KEY}, v TEXT NOT NULL)`, "NOT NULL without a default"],
    [`CREATE TABLE t (${KEY}, v TEXT UNIQUE)`, "unique constraint"],
    [`CREATE TABLE t (${KEY}, v TEXT REFERENCES t (id))`, "foreign key"],
    ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)", "AUTOINCREMENT"],
    [`CREATE TABLE t (${KEY} ON CONFLICT ROLLBACK)`, "ON CONFLICT"],
    [`CREATE TABLE t (${KEY}, v TEXT NOT NULL ON CONFLICT IGNORE DEFAULT '')`, "ON CONFLICT"],
    [`CREATE TABLE t (${KEY}, v TEXT DEFAULT CURRENT_TIMESTAMP)`, "not a constant"],
    [`CREATE TABLE t (${KEY}, v INTEGER DEFAULT (random()))`, "not a constant"],
    [`CREATE TABLE t (${KEY}, v TEXT DEFAULT word)`, "the name word as its default"],
    [`CREATE TABLE t (${KEY}, v TEXT DEFAULT word)`, "as its default"],
    [`CREATE TABLE _patina_x (${KEY})`, "reserved"],
    ["CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, _PATINA_hlc INTEGER)", "reserved"],
    ["CREATE TABLE t AS SELECT 1 AS id", "no column list"],
    [`CREATE TABLE main.t (${KEY})`, "names a database"],
    ["CREATE VIEW main.v AS SELECT 1", "names a database"],
    [`CREATE TABLE t (${KEY}, a TEXT); CREATE UNIQUE INDEX i ON t (a)`, "a unique index is not allowed"],
    ["CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "CREATE TRIGGER is not allowed"],
    ["CREATE VIRTUAL TABLE t USING fts5(a)", "not allowed"],
    ["CREATE TEMP TABLE t (a)", "not allowed"],
    [`CREATE TABLE t (${KEY});\n\nDROP TABLE t`, "line 3: DROP TABLE"],
    ["PRAGMA journal_mode = OFF", "not allowed"],
    [`-- @app nobody\nCREATE TABLE t (${KEY})`, "@app names nobody"],
    ["CREATE TABLE t (", "does not compile"],
    [`CREATE TABLE t (${KEY}); CREATE TABLE T (${KEY})`, "does not compile"],
  ])("%s is refused", (sql, reason) => {
    const error = errorOf(() => parseSchema(sql));
    expect([error.code, error.message]).toEqual(["schema-invalid", expect.stringContaining(reason)]);
  });

  test("an annotation belongs to the statement just below it", () => {
    const sql = (gap: string): string => `-- @app app\n${gap}CREATE TABLE t (${KEY}, app TEXT)`;
    expect(parseSchema(sql("")).tables[0]?.appColumn).toBe("app");
    expect(parseSchema(sql("\n")).tables[0]?.appColumn).toBeUndefined();
  });
});

describe("a table's own checks", () => {
  const table = (...more: string[]): string => `CREATE TABLE t (${[KEY, "a INTEGER", "b TEXT", ...more].join(", ")})`;
  const conflicts = (from: string, to: string): readonly string[] => {
    return planSchema(parseSchema(from), parseSchema(to)).conflicts;
  };

  test.each<[string, string, string]>([
    ["comes", table(), table("CHECK (a < length(b))")],
    ["goes", table("CHECK (a < length(b))"), table()],
    ["is another", table("CHECK (a < length(b))"), table("CHECK (a <= length(b))")],
    ["has another text", table("CHECK (b <> 'x' OR a > 1)"), table("CHECK (b <> 'y' OR a > 1)")],
    ["has a text for a column", table("CHECK (b <> id)"), table("CHECK (b <> 'ID')")],
    ["is named, and another", table("CONSTRAINT c CHECK (a < 5)"), table("CONSTRAINT c CHECK (a < 6)")],
    ["is the second, without a comma", table("CHECK (a < 5) CHECK (a > 1)"), table("CHECK (a < 5) CHECK (a > 2)")],
  ])("one that %s is a change of its definition", (_, from, to) => {
    expect(conflicts(from, to)).toEqual(["the checks of t"]);
    const plan = planSchema(parseSchema(from), parseSchema(to));
    expect(errorOf(() => assertAdditive(plan)).code).toBe("schema-destructive");
  });

  test("one that is written otherwise, or named, is the same", () => {
    const same = [
      table("CHECK (a < length(b))"),
      table("check(A<length( b ) )"),
      table("CONSTRAINT x CHECK (a < length(b))"),
    ];
    for (const [from, to] of same.flatMap((from) => same.map((to) => [from, to] as const))) {
      expect(conflicts(from, to)).toEqual([]);
    }
    const key = "CREATE TABLE t (id TEXT NOT NULL, a INTEGER, b TEXT, PRIMARY KEY (id))";
    expect(conflicts(table(), key)).toEqual([]);
  });
});

describe("a file", () => {
  let db: Database.Database;
  beforeEach(() => {
    db = new Database(":memory:");
    createEngineTables(db);
  });
  afterEach(() => db.close());

  const A = `CREATE TABLE a (${KEY}, v TEXT);`;
  const to = (sql: string): void => migrate(db, parseSchema(sql), { extras: new Extras(db), aside: new Aside(db) });
  const names = (): unknown[] =>
    db.prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT GLOB '_patina_[motdq]*' AND name NOT GLOB 'sqlite_*' ORDER BY 1").pluck().all(); // prettier-ignore

  test("shows exactly the user's columns, and keeps the rows beside their clock", () => {
    to(A);
    expect(names()).toEqual(expect.arrayContaining(["table _patina_rows_a", "view a"]));
    expect(db.prepare("SELECT * FROM a").columns().map(({ name }) => name)).toEqual(["id", "v"]); // prettier-ignore
  });

  test("takes tables, columns, indexes and views in addition, in the order users wrote them", () => {
    to(A);
    db.exec("INSERT INTO _patina_rows_a (id, v) VALUES ('1', 'x')");
    to(`CREATE TABLE a (${KEY}, w INTEGER NOT NULL DEFAULT 7, v TEXT); CREATE TABLE b (${KEY});
        CREATE INDEX a_w ON main.a (w);`.replace("main.", "")); // prettier-ignore
    expect(db.prepare("SELECT * FROM a").all()).toEqual([{ id: "1", w: 7, v: "x" }]);
    to(`CREATE TABLE a (${KEY}, w INTEGER NOT NULL DEFAULT 7, v TEXT); CREATE TABLE b (${KEY});
        CREATE INDEX a_w ON a (w, v); CREATE VIEW only AS SELECT v FROM a;`);
    expect(db.prepare("SELECT * FROM only").pluck().all()).toEqual(["x"]);
    const index = db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'a_w'").pluck().get();
    expect(index).toBe('CREATE INDEX a_w ON "_patina_rows_a" (w, v)');
    to(`CREATE TABLE a (${KEY}, w INTEGER NOT NULL DEFAULT 7, v TEXT); CREATE TABLE b (${KEY});`);
    expect(names().filter((it) => /a_w|only/.test(String(it)))).toEqual([]);
  });

  test("the same schema again changes nothing", () => {
    to(A);
    const version = db.pragma("schema_version", { simple: true });
    to(A);
    expect(db.pragma("schema_version", { simple: true })).toBe(version);
  });
});
