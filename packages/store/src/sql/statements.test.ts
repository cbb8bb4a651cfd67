/** The doors for users' SQL: what a write is turned into, what no write may do, and what counts as a query. */
import { AppError } from "@patina/base";
import { describe, expect, test } from "vitest";
import { assertReadStatement } from "./read-statement.js";
import { rewriteWrite, type WriteTarget } from "./write-statement.js";

const targets: WriteTarget[] = [
  { name: "t", rowsTable: "_patina_rows_t", insertColumns: ["id", "a"] },
  { name: 'odd "one"', rowsTable: '_patina_rows_odd "one"', insertColumns: ['"', "b"] },
];
const find = (name: string): WriteTarget | undefined => targets.find((it) => it.name === name.toLowerCase());
const R = '"_patina_rows_t"';
const C = '("id", "a")';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return thrown instanceof AppError ? thrown.code : String(thrown);
  }
  return "nothing thrown";
}

describe("writes turned towards the rows", () => {
  test.each<[string, string]>([
    ["INSERT INTO t VALUES (1, 2)", `INSERT INTO ${R} AS "t" ${C}  VALUES (1, 2)`],
    ["insert into T values (1, 2);", `insert into ${R} AS "t" ${C}  values (1, 2);`],
    ["INSERT INTO t (id) VALUES (1)", `INSERT INTO ${R} AS "t" (id) VALUES (1)`],
    ["INSERT INTO t DEFAULT VALUES", `INSERT INTO ${R} AS "t" DEFAULT VALUES`],
    ["INSERT INTO t SELECT * FROM t", `INSERT INTO ${R} AS "t" ${C}  SELECT * FROM t`],
    ["INSERT INTO t AS x SELECT 1, 2", `INSERT INTO ${R} AS x ${C}  SELECT 1, 2`],
    ["INSERT INTO t AS x (id) VALUES (1)", `INSERT INTO ${R} AS x (id) VALUES (1)`],
    ["INSERT OR IGNORE INTO t VALUES (1, 2)", `INSERT OR IGNORE INTO ${R} AS "t" ${C}  VALUES (1, 2)`],
    ["REPLACE INTO t VALUES (1, 2)", `REPLACE INTO ${R} AS "t" ${C}  VALUES (1, 2)`],
    ["INSERT INTO t(id)VALUES(1)ON CONFLICT(id)DO UPDATE SET a=t.a WHERE t.a<9", `INSERT INTO ${R} AS "t"(id)VALUES(1)ON CONFLICT(id)DO UPDATE SET a=t.a WHERE t.a<9`], // prettier-ignore
    ["INSERT INTO main.t VALUES (1, 2)", `INSERT INTO ${R} AS "t" ${C}  VALUES (1, 2)`],
    ['INSERT INTO "main" . [t] VALUES (1, 2)', `INSERT INTO ${R} AS "t" ${C}  VALUES (1, 2)`],
    ["INSERT/**/INTO--\nt/* ( */VALUES(1,2)", `INSERT/**/INTO--\n${R} AS "t" ${C} /* ( */VALUES(1,2)`],
    ['INSERT INTO "odd ""one""" VALUES (1, 2)', 'INSERT INTO "_patina_rows_odd ""one""" AS "odd ""one""" ("""", "b")  VALUES (1, 2)'], // prettier-ignore
    ["UPDATE t SET a = 1", `UPDATE ${R} AS "t" SET a = 1`],
    ["UPDATE OR IGNORE t SET a = 1", `UPDATE OR IGNORE ${R} AS "t" SET a = 1`],
    ["UPDATE t AS x SET a = x.a", `UPDATE ${R} AS x SET a = x.a`],
    ["UPDATE t SET a = o.a FROM t AS o WHERE o.id = t.id", `UPDATE ${R} AS "t" SET a = o.a FROM t AS o WHERE o.id = t.id`], // prettier-ignore
    ["UPDATE t INDEXED BY t_a SET a = 1", `UPDATE ${R} AS "t" INDEXED BY t_a SET a = 1`],
    ["DELETE FROM t", `DELETE FROM ${R} AS "t"`],
    ["DELETE FROM t AS x WHERE x.id IN (SELECT id FROM t)", `DELETE FROM ${R} AS x WHERE x.id IN (SELECT id FROM t)`],
    ["WITH d(i) AS (SELECT id FROM t) DELETE FROM t WHERE id IN d", `WITH d(i) AS (SELECT id FROM t) DELETE FROM ${R} AS "t" WHERE id IN d`], // prettier-ignore
    ["WITH t AS (SELECT 1 AS id) INSERT INTO t SELECT id, 2 FROM t", `WITH t AS (SELECT 1 AS id) INSERT INTO ${R} AS "t" ${C}  SELECT id, 2 FROM t`], // prettier-ignore
  ])("%s", (sql, expected) => {
    expect(rewriteWrite(sql, find)).toBe(expected);
  });

  test.each([
    "",
    ";",
    "SELECT 1",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "EXPLAIN DELETE FROM t",
    "VACUUM",
    "SAVEPOINT x",
    "COMMIT",
    "ATTACH 'x' AS y",
    "CREATE TABLE x (a)",
    "ALTER TABLE t ADD COLUMN b",
    "/* INSERT INTO t */ PRAGMA writable_schema = 1",
    "UPDATE OR ROLLBACK t SET a = 1",
    "INSERT OR ROLLBACK INTO t VALUES (1, 2)",
    "DELETE FROM t RETURNING id",
    "UPDATE t SET a = ?RETURNING id",
    "DELETE FROM t \ufeffRETURNING id",
    "UPDATE temp.t SET a = 1",
    "INSERT INTO other.t VALUES (1, 2)",
    "UPDATE t SET _patina_hlc = 1",
    'UPDATE t SET "_PATINA_hlc" = 1',
    "UPDATE t SET [_patina_hlc] = 1",
    "UPDATE t SET `_patina_hlc` = 1",
    "UPDATE t SET \ufeff_patina_hlc = 1",
    "INSERT INTO _patina_rows_t VALUES (1)",
    "INSERT INTO main._patina_origins VALUES (1)",
    "INSERT INTO 'sqlite_master' VALUES (1)",
    "INSERT INTO t ('id', '_patina_hlc') VALUES ('a', 1)",
    "INSERT INTO t ('_patina_hlc') VALUES (1)",
    "UPDATE t SET '_patina_hlc' = 1",
    "UPDATE t SET a = 1, '_patina_hlc' = 1",
    "UPDATE t SET (a, '_patina_hlc') = (1, 2)",
    "UPDATE t SET a = '_patina_rows_t'.'_patina_hlc'",
    "INSERT INTO t VALUES (1, (SELECT hlc FROM '_patina_origins'))",
    "INSERT INTO t SELECT * FROM '_patina_origins', '_patina_meta'",
    "INSERT INTO t VALUES (1, 2) ON CONFLICT ('_patina_hlc') DO NOTHING",
    "INSERT INTO t VALUES (1, 2) ON CONFLICT ('id', '_patina_hlc') DO NOTHING",
    "WITH '_patina_x' AS (VALUES (1)) DELETE FROM t",
    "WITH x('a', '_patina_hlc') AS (VALUES (1, 2)) DELETE FROM t",
    "INSERT INTO t SELECT _patina_touch(1), 2",
    "INSERT INTO t (id) VALUES (1) ON CONFLICT DO UPDATE SET a = 1, _patina_epoch = 9",
    "DELETE FROM t INDEXED BY _patina_log_t",
    "UPDATE t AS x SET a = x._patina_hash",
  ])("%s is not allowed", (sql) => {
    expect(codeOf(() => rewriteWrite(sql, find))).toBe("sql-not-allowed");
  });

  test.each([
    "DELETE FROM nothing",
    "INSERT INTO t_view VALUES (1)",
    "UPDATE",
    "INSERT INTO",
    "DELETE FROM 5",
    "WITH replace AS (SELECT 1) DELETE FROM t",
  ])(
    // prettier-ignore
    "%s names no table",
    (sql) => {
      expect(codeOf(() => rewriteWrite(sql, find))).toBe("sql-error");
    },
  );

  test("a value that looks like a clause or a name is only a value", () => {
    const plain = [
      "UPDATE t SET a = '_patina_x', id = 'sqlite_y' WHERE a = 'sqlite_z' AND id >= '_patina_' AND a == '_patina_'",
    ];
    for (const sql of [...plain, "UPDATE t SET a = 'x RETURNING y'", "UPDATE t SET a = x'5f', id = '; DROP'"]) {
      expect(rewriteWrite(sql, find)).toContain(sql.slice("UPDATE t".length));
    }
    for (const values of [
      "('_patina_x', 1)",
      "(1, 'sqlite_master')",
      "(1, (2)), (f(3), 'sqlite_y'), ('_patina_z', 4)",
    ]) {
      expect(rewriteWrite(`INSERT INTO t (id, a) VALUES ${values}`, find)).toContain(`VALUES ${values}`);
    }
  });
});

describe("queries", () => {
  test.each([
    "SELECT 1",
    "select * from t;",
    "VALUES (1), (2)",
    "WITH x AS (SELECT 1), y AS (SELECT 2) SELECT * FROM x, y",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 3",
    "/* c */ SELECT ';' -- ;",
    'SELECT "delete" FROM t',
    "SELECT 1;;",
  ])("%s is one", (sql) => {
    expect(() => assertReadStatement(sql)).not.toThrow();
  });

  test.each([
    "",
    ";",
    "BEGIN",
    "PRAGMA table_info(t)",
    "ATTACH 'x' AS y",
    "EXPLAIN SELECT 1",
    "DELETE FROM t",
    "SELECT 1; SELECT 2",
    "SELECT 1;DELETE FROM t",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
    "WITH x AS (SELECT 1)",
    "(SELECT 1)",
    '"SELECT" 1',
    "--SELECT 1",
  ])("%j is none", (sql) => {
    expect(codeOf(() => assertReadStatement(sql))).toBe("sql-not-allowed");
  });
});
