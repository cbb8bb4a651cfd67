/** Random writes on three stores, exchanged in random order with duplicates: each row is that of the greatest stamp held. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Change, heldVersions, holds, must, Ranges, type SqlValue, type Write } from "@patina/base";
import Database from "better-sqlite3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { tableOf } from "../database/layout.js";
import { decodeBody, decodeKey, decodeState } from "../rows/row-codec.js";
import { parseSchema } from "../schema/schema.js";
import { scrub } from "../check/scrub.js";
import { SqliteStore } from "../sqlite-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '', n INTEGER);";
const TABLE = tableOf(must(parseSchema(SCHEMA).tables[0], "a table"));
const WALL = 1_790_000_000_000;
const NODES = 3;

const key = fc.constantFrom("a", "b", "c", "d");
const sql = (text: string, ...params: SqlValue[]): Write => {
  return { kind: "statements", statements: [{ sql: text, params }] };
};
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.tuple(key, fc.nat(5)).map(([id, n]) => sql("INSERT OR REPLACE INTO t VALUES (?, 'r', ?)", id, BigInt(n))),
  fc.tuple(key, fc.string({ unit: "grapheme", maxLength: 3 })).map(([id, v]) => sql("UPDATE t SET v = ? WHERE id <= ?", v, id)), // prettier-ignore
  key.map((id) => sql("DELETE FROM t WHERE id = ?", id)),
  fc.tuple(key, key).map(([from, to]) => sql("UPDATE OR REPLACE t SET id = ? WHERE id = ?", to, from)),
  key.map((id) => sql("INSERT INTO t (id) VALUES (?) ON CONFLICT DO UPDATE SET n = coalesce(n, 0) + 1", id)),
  fc.array(fc.tuple(key, fc.nat(5), fc.boolean()), { minLength: 1, maxLength: 4 }).map((rows): Write => {
    return {
      kind: "rows",
      rows: rows.map(([id, n, deleted]) => ({ table: "t", values: { id, n: BigInt(n) }, deleted })),
    };
  }),
  fc.tuple(key, fc.nat(3), fc.nat(2), fc.boolean()).map(([id, hlc, epoch, deleted]): Write => {
    const values = { id, v: `s${hlc}` };
    return { kind: "rows", rows: [{ table: "t", values, deleted, stamp: { epoch, hlc: BigInt(hlc) } }] };
  }),
  fc.constant(sql("INSERT INTO t (id) VALUES (NULL)")),
);
const step = fc.oneof(
  fc.record({ writeAt: fc.nat(NODES - 1), writes: fc.array(write, { minLength: 1, maxLength: 3 }), skewMs: fc.integer({ min: -5000, max: 5000 }) }), // prettier-ignore
  fc.record({ giveTo: fc.nat(NODES - 1), picks: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }) }),
);

/** Stamps by the book, and nothing of the store's own comparing. */
type Stamp = readonly [epoch: number, hlc: bigint, origin: string, version: number];
function isGreater(a: Stamp, b: Stamp): boolean {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [must(a[i], "a part"), must(b[i], "a part")];
    if (x !== y) return x > y;
  }
  return false;
}

/** What a store must show: of all it holds, per key the row of the greatest stamp, unless that is a delete. */
function expected(store: SqliteStore, pool: readonly Change[]): SqlValue[][] {
  const best = new Map<string, { stamp: Stamp; row: SqlValue[] | undefined }>();
  for (const change of pool) {
    if (!holds(store.holdings().get(change.origin), change.version)) continue;
    for (const it of decodeBody(change.body, change.hlc, 100)) {
      const [id = null] = decodeKey(it.key, 100);
      const stamp: Stamp = [it.epoch, it.hlc, change.origin, change.version];
      const last = best.get(String(id));
      if (last !== undefined && !isGreater(stamp, last.stamp)) continue;
      const [n = null, v = null] = it.state === undefined ? [] : decodeState(TABLE, it.state, 100).values;
      best.set(String(id), { stamp, row: it.state === undefined ? undefined : [id, v, n] });
    }
  }
  const rows = [...best.values()].flatMap(({ row }) => (row === undefined ? [] : [row]));
  return rows.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}

function open(dir: string, n: number): SqliteStore {
  return new SqliteStore({
    path: join(dir, `${n}.db`),
    cluster: { name: "iad", generation: 1 },
    node: (n + 1).toString(16).padStart(32, "0"),
    newDbId: () => n.toString(16).padStart(16, "a"),
    schemaSql: SCHEMA,
  });
}

const heldText = (store: SqliteStore): string[] =>
  [...store.holdings()].map(([origin, holding]) => `${origin} ${heldVersions(holding).toString()}`).sort();
const all = (store: SqliteStore): SqlValue[][] => store.read("SELECT * FROM t ORDER BY id");

test("every store always shows the greatest stamps it holds, and all are equal once all hold everything", () => {
  const dir = mkdtempSync(join(tmpdir(), "patina-replication-"));
  let runs = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
      const home = mkdtempSync(join(dir, `${runs++}-`));
      const stores = Array.from({ length: NODES }, (_, n) => open(home, n));
      const late = open(home, NODES);
      try {
        const pool: Change[] = [];
        for (const it of steps) {
          if ("writeAt" in it) {
            const outcomes = stores[it.writeAt]?.commit(it.writes, WALL + it.skewMs) ?? [];
            for (const outcome of outcomes) if (outcome.ok && outcome.change !== undefined) pool.push(outcome.change);
          } else if (pool.length > 0) {
            const to = stores[it.giveTo];
            const given = it.picks.map((pick) => must(pool[pick % pool.length], "a change"));
            to?.apply(given.filter(({ origin }) => origin !== to.origin));
          }
          for (const store of stores) expect(all(store)).toEqual(expected(store, pool));
        }
        const [first, ...others] = stores as [SqliteStore, ...SqliteStore[]];
        for (const store of stores) store.apply(pool.toReversed().filter(({ origin }) => origin !== store.origin));
        for (const [origin, holding] of first.holdings()) {
          const { changes, empty } = first.extract(origin, heldVersions(holding), 1 << 30);
          late.apply(changes, [{ origin, versions: empty }]);
        }
        for (const store of [...others, late]) {
          expect(all(store)).toEqual(all(first));
          expect(store.digest()).toBe(first.digest());
          expect(heldText(store)).toEqual(heldText(first));
        }
        for (let n = 0; n <= NODES; n++) {
          const db = new Database(join(home, `${n}.db`));
          expect(scrub(db)).toEqual([]);
          db.close();
        }
        expect([...first.holdings().values()].every(({ gaps }) => gaps.equals(Ranges.empty))).toBe(true);
      } finally {
        for (const store of [...stores, late]) store.close();
      }
    }),
    { numRuns: 40 },
  );
  rmSync(dir, { recursive: true, force: true });
});
