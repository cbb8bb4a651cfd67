/** What may happen to a fleet of stores, as fast-check draws it, and how each step is done. */
import { must, type SqlValue, type Write } from "@patina/base";
import fc from "fast-check";
import type { Fleet, Node } from "./fleet.js";

export const FLEET_SCHEMA = `
-- @app app
CREATE TABLE machines (
  id TEXT NOT NULL PRIMARY KEY, app TEXT NOT NULL DEFAULT 'none', n INTEGER NOT NULL DEFAULT 7 CHECK (n < 100),
  ratio REAL DEFAULT 1, data BLOB, loose NUMERIC DEFAULT '5', note TEXT,
  twice INTEGER GENERATED ALWAYS AS (n * 2) VIRTUAL, label TEXT GENERATED ALWAYS AS (id || ':' || app) STORED);
CREATE INDEX machines_app ON machines (app, twice);
CREATE TABLE pairs (a INTEGER NOT NULL, b TEXT NOT NULL, v TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE counters (id INTEGER PRIMARY KEY, total INTEGER NOT NULL DEFAULT 0);
CREATE VIEW busy AS SELECT app, count(*) AS machines FROM machines GROUP BY app;
`;
export const WALL_MS = 1_790_000_000_000;
const HOUR_MS = 3_600_000;

const id = fc.constantFrom("a", "b", "c", "d", "é");
const small = fc.integer({ min: -2, max: 6 }).map(BigInt);
const number = fc.integer({ min: 1, max: 9 }).map(BigInt);
const note = fc.oneof(fc.constantFrom(null, "", "x", "5", "'\";--"), fc.string({ unit: "grapheme", maxLength: 4 }));
const loose: fc.Arbitrary<SqlValue> = fc.constantFrom<SqlValue>(null, 5n, 5, 5.5, "5", "5.0", "five", -0, 1n << 62n, new Uint8Array([0, 255])); // prettier-ignore

interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
}
const to = (sql: string, ...params: readonly fc.Arbitrary<SqlValue>[]): fc.Arbitrary<Statement> =>
  fc.tuple(...params).map((values) => ({ sql, params: values }));

const statement: fc.Arbitrary<Statement> = fc.oneof(
  to("INSERT INTO machines (id, app, n) VALUES (?, ?, ?)", id, id, small),
  to("INSERT OR IGNORE INTO machines (id, note) VALUES (?, 'first'), (?, 'second')", id, id),
  to("REPLACE INTO machines (id, n, note) VALUES (?, ?, ?), (?, 7, NULL)", id, small, note, id),
  to("INSERT OR REPLACE INTO machines VALUES (?, 'all', ?, 0.5, x'00ff', ?, ?)", id, small, loose, note),
  to("INSERT INTO machines (id, n) VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, note = app", id, small),
  to("INSERT INTO machines (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET n = 7 WHERE machines.n > ?", id, small),
  to("INSERT INTO machines (id, n) SELECT b, a FROM pairs WHERE true ON CONFLICT DO NOTHING"),
  to("UPDATE machines SET note = ?, loose = ? WHERE id <= ?", note, loose, id),
  to("UPDATE machines SET n = n + ? WHERE twice > ?", small, small),
  to("UPDATE machines SET n = n, app = app, note = note"),
  to("UPDATE OR REPLACE machines SET id = ? WHERE id = ?", id, id),
  to("UPDATE machines SET n = 1000 WHERE id = ?", id),
  to("WITH big AS (SELECT max(n) AS n FROM machines) UPDATE machines SET ratio = (SELECT n FROM big) WHERE id = ?", id),
  to("DELETE FROM machines WHERE id = ? OR n = ?", id, small),
  to("DELETE FROM machines WHERE app IN (SELECT app FROM busy WHERE machines > ?)", small),
  to("INSERT OR REPLACE INTO pairs VALUES (?, ?, ?)", small, id, note),
  to("UPDATE OR REPLACE pairs SET a = ? WHERE b = ? AND a = ?", small, id, small),
  to("DELETE FROM pairs WHERE a < ?", small),
  to("INSERT INTO counters (total) VALUES (?)", small), // No node may make its key up.
  to("INSERT INTO counters (total, id) VALUES (?, ?)", small, number),
  to("INSERT OR IGNORE INTO counters SELECT n, n FROM machines WHERE n > 0"),
  to("REPLACE INTO counters VALUES (?, ?)", number, small),
  to("UPDATE counters SET total = total + ?", small),
  to("DELETE FROM counters WHERE id > ?", small),
  to("INSERT INTO machines (id) VALUES (NULL)"),
);
const sqlWrite = fc
  .array(statement, { minLength: 1, maxLength: 3 })
  .map((statements): Write => ({ kind: "statements", statements }));

const machine = fc.record({ id, app: id, n: small, note, loose, ratio: fc.constantFrom(1, 0.5, 2n) }, { requiredKeys: ["id"] }); // prettier-ignore
const row = fc.oneof(
  fc.record({ table: fc.constant("machines"), values: machine, deleted: fc.boolean() }),
  fc.record({ table: fc.constant("pairs"), values: fc.record({ a: small, b: id, v: note }), deleted: fc.boolean() }),
);
const rowsWrite = fc.array(row, { minLength: 1, maxLength: 4 }).map((rows): Write => ({ kind: "rows", rows }));

/** Ordered by a stamp of its own, behind or ahead of every clock, as a region's summary is. */
const stampedWrite = fc
  .record({
    values: fc.record({ id, app: id }),
    deleted: fc.boolean(),
    epoch: fc.nat(2),
    aheadMs: fc.constantFrom(-HOUR_MS, 0, 1, 2 * HOUR_MS),
  }) // prettier-ignore
  .map(({ values, deleted, epoch, aheadMs }): Write => {
    const stamp = { epoch, hlc: BigInt(WALL_MS + aheadMs) << 16n };
    return { kind: "rows", rows: [{ table: "machines", values, deleted, stamp }] };
  });

const at = fc.nat();
const picks = fc.array(fc.nat(), { minLength: 1, maxLength: 6 });

export const fleetStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("sql" as const), at, write: sqlWrite }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("objects" as const), at, write: rowsWrite }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("stamped" as const), at, write: stampedWrite }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("again" as const), at, pick: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("deliver" as const), at, picks }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("repair" as const), at, from: fc.nat(), bytesMax: fc.constantFrom(1, 150, 1 << 20) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose-power" as const), at, keptShare: fc.double({ min: 0, max: 1, noNaN: true }) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("adopt" as const), at, from: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clock-step" as const), at, byMs: fc.constantFrom(-HOUR_MS, HOUR_MS) }) }, // prettier-ignore
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("clock-rate" as const), at, rate: fc.constantFrom(0, 1, 10) }),
  },
);
export type FleetStep = typeof fleetStep extends fc.Arbitrary<infer T> ? T : never;

/** Does one step; the nodes whose files it may have changed. */
export function perform(fleet: Fleet, step: FleetStep): Node[] {
  fleet.tick();
  const nodeAt = (n: number): Node => must(fleet.nodes[n % fleet.nodes.length], "a node");
  const node = nodeAt(step.at);
  switch (step.kind) {
    case "sql":
    case "objects":
    case "stamped":
      fleet.write(node, step.write);
      break;
    case "again": {
      const write = fleet.writes.at(-1 - step.pick);
      if (write !== undefined) fleet.write(node, write);
      break;
    }
    case "deliver":
      if (fleet.log.length > 0) fleet.deliver(node, step.picks.map((pick) => must(fleet.log[pick % fleet.log.length], "a change"))); // prettier-ignore
      break;
    case "repair":
      if (nodeAt(step.from) !== node) fleet.repair(node, nodeAt(step.from), step.bytesMax);
      break;
    case "reopen":
      fleet.reopen(node);
      break;
    case "lose-power":
      fleet.losePower(node, step.keptShare);
      break;
    case "adopt":
      fleet.adopt(node, nodeAt(step.from));
      break;
    case "clock-step":
      node.wallMs += step.byMs;
      return [];
    case "clock-rate":
      node.rate = step.rate;
      return [];
  }
  return [node];
}
