/** Which queries are refused, and what their author is told. What is followed, live-queries.test.ts shows. */
import { AppError } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, describe, expect, test } from "vitest";
import type { LiveParams } from "./live-parameters.js";
import { LiveQueries } from "./live-queries.js";

const SCHEMA = `
CREATE TABLE machines (id TEXT NOT NULL PRIMARY KEY, app TEXT, cpus INTEGER, note);
CREATE TABLE labels (name TEXT NOT NULL PRIMARY KEY, value TEXT);
CREATE VIEW busy AS SELECT id FROM machines WHERE cpus > 1;
`;

const db = new Database(":memory:");
db.exec(`${SCHEMA} CREATE TABLE _patina_meta (key TEXT PRIMARY KEY, value TEXT)`);
db.prepare("INSERT INTO _patina_meta VALUES ('schema', ?)").run(SCHEMA);
const live = new LiveQueries(db, () => "q");

afterAll(() => db.close());

function errorOf(sql: string, params: LiveParams = []): AppError {
  try {
    live.open(sql, params);
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error("it was not refused");
}

describe("queries it refuses, with the reason", () => {
  const refused: readonly (readonly [sql: string, reason: string])[] = [
    ["SELECT a.id FROM machines a JOIN labels b", "a join"],
    ["SELECT a.id FROM machines a LEFT JOIN labels b ON 1", "a join"],
    ["SELECT a.id FROM machines a, labels b", "a join"],
    ["SELECT id FROM machines NATURAL JOIN labels", "a join"],
    ["SELECT id FROM (SELECT id FROM machines)", "a subquery"],
    ["SELECT (SELECT 1) FROM machines", "a subquery"],
    ["SELECT id FROM machines WHERE EXISTS (SELECT 1 FROM labels)", "a subquery"],
    ["SELECT id FROM machines WHERE id IN (VALUES ('a'))", "a subquery"],
    ["SELECT id FROM machines WHERE id IN labels", "a subquery"],
    ["SELECT app FROM machines GROUP BY app", "GROUP BY"],
    ["SELECT app FROM machines WHERE 1 HAVING 1", "HAVING"],
    ["SELECT id FROM machines ORDER BY id", "ORDER BY"],
    ["SELECT id FROM machines WHERE cpus > 1 LIMIT 1", "LIMIT"],
    ["SELECT DISTINCT app FROM machines", "DISTINCT"],
    ["SELECT id FROM machines UNION SELECT name FROM labels", "UNION"],
    ["SELECT id FROM machines WHERE 1 EXCEPT SELECT 'a'", "EXCEPT"],
    ["WITH x AS (SELECT 1) SELECT id FROM machines", "WITH"],
    ["SELECT count(*) FROM machines", "count()"],
    ['SELECT "count"(id) FROM machines', "count()"],
    ["SELECT max(cpus) FROM machines", "max()"],
    ["SELECT total(cpus) + 1 FROM machines", "total()"],
    ["SELECT group_concat(id, ',') FROM machines", "group_concat()"],
    ["SELECT json_group_array(id) FROM machines", "json_group_array()"],
    ["SELECT row_number() OVER () FROM machines", "row_number()"],
    ["SELECT id FROM machines WINDOW w AS (ORDER BY id)", "a window"],
    ["SELECT id FROM machines WHERE cpus > abs(random())", "random()"],
    ["SELECT randomblob(4) FROM machines", "randomblob()"],
    ["SELECT changes(), id FROM machines", "changes()"],
    ["SELECT last_insert_rowid() FROM machines", "last_insert_rowid()"],
    ["SELECT id FROM machines WHERE note < datetime('now')", "datetime()"],
    ["SELECT unixepoch() FROM machines", "unixepoch()"],
    ["SELECT CURRENT_TIMESTAMP FROM machines", "the current time"],
    ["SELECT id FROM nowhere", "nowhere is not a replicated table"],
    ["SELECT id FROM busy", "busy is not a replicated table"],
    ["SELECT key FROM _patina_meta", "_patina_meta is not a replicated table"],
    ["SELECT value FROM json_each('[1]')", "a table-valued function"],
    ["SELECT id FROM main.machines", "a database name"],
    ["SELECT id FROM machines INDEXED BY x", "INDEXED BY"],
    ["SELECT id FROM machines NOT INDEXED", "INDEXED BY"],
    ["SELECT 1", "no table"],
    ["DELETE FROM machines", "DELETE as its verb"],
    ["SELECT id FROM machines; SELECT 1", "more than one statement"],
    ["", "an empty statement"],
  ];
  test.each(refused)("%s", (sql, reason) => {
    const error = errorOf(sql);
    expect([error.code, error.message]).toEqual(["subscription-unsupported", expect.stringContaining(reason)]);
    expect(error.hint).toBeTruthy();
  });

  const broken: readonly (readonly [sql: string, params: LiveParams])[] = [
    ["SELECT nope FROM machines", []],
    ["SELECT id FROM machines WHERE 1) OR (1", []],
    ["SELECT id FROM machines WHERE", []],
    ["SELECT id FROM machines WHERE app = ?", []],
    ["SELECT id FROM machines WHERE app = ?", ["x", "y"]],
    ["SELECT id FROM machines WHERE app = ?", { app: "x" }],
    ["SELECT id FROM machines WHERE app = :app", { other: "x" }],
    ["SELECT id FROM machines WHERE app = ?99999999", ["x"]],
  ];
  test.each(broken)("does not compile or bind: %s", (sql, params) => {
    expect(errorOf(sql, params).code).toBe("sql-error");
  });
});
