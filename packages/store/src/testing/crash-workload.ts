/** What the crash tests write, in the child that is killed and in the parent that looks at what is left. */
import { heldVersions, Ranges, type Rng, type SqlValue, type Write } from "@patina/base";
import { SqliteStore } from "../sqlite-store.js";

const CRASH_SCHEMA = `
CREATE TABLE groups (id TEXT NOT NULL PRIMARY KEY, grp INTEGER NOT NULL DEFAULT 0, v TEXT NOT NULL DEFAULT '', pad BLOB);
CREATE INDEX groups_v ON groups (v);
CREATE TABLE ledger (id TEXT NOT NULL PRIMARY KEY, grp INTEGER NOT NULL DEFAULT 0);
`;
const GROUP_ROWS = 4;
const GROUPS = 6;
export const CRASH_WALL_MS = 1_790_000_000_000;

export function openCrashStore(path: string, node: number, walAutocheckpointPages = 20): SqliteStore {
  return new SqliteStore({
    path,
    cluster: { name: "iad", generation: 1 },
    node: node.toString(16).padStart(32, "0"),
    newDbId: () => node.toString(16).padStart(16, "e"),
    schemaSql: CRASH_SCHEMA,
    walAutocheckpointPages, // Often, so that kills meet checkpoints, too.
  });
}

/** Sets or deletes all rows of a group, and notes `name` in the ledger, as objects or as SQL: half of it would show. */
export function groupWrite(name: string, rng: Rng): Write {
  const group = rng.below(GROUPS);
  const isDelete = rng.chance(0.2);
  const ids = Array.from({ length: GROUP_ROWS }, (_, i) => `${group}/${i}`);
  const grp = BigInt(group);
  const pad = new Uint8Array(rng.below(600)); // So that commits take one page or several.
  if (rng.chance(0.5)) {
    const rows = ids.map((id) => {
      return { table: "groups", values: isDelete ? { id } : { id, grp, v: name, pad }, deleted: isDelete };
    });
    return { kind: "rows", rows: [...rows, { table: "ledger", values: { id: name, grp } }] };
  }
  const sql = (text: string, ...params: SqlValue[]): { sql: string; params: SqlValue[] } => ({ sql: text, params });
  const statements = isDelete
    ? [sql("DELETE FROM groups WHERE grp = ?", grp)]
    : ids.map((id) => sql("REPLACE INTO groups VALUES (?, ?, ?, ?)", id, grp, name, pad));
  return { kind: "statements", statements: [...statements, sql("INSERT INTO ledger VALUES (?, ?)", name, grp)] };
}

/** Groups whose rows are not all there or all gone, or not all of one write. */
export function tornGroups(store: SqliteStore): string[] {
  const rows = store.read("SELECT grp, count(*), min(v), max(v) FROM groups GROUP BY grp");
  return rows.filter(([, count, min, max]) => count !== BigInt(GROUP_ROWS) || min !== max).map((row) => row.join(" "));
}

/** Brings over what `from` holds and `to` lacks, as it is read back. */
export function pull(from: SqliteStore, to: SqliteStore): void {
  for (const [origin, holding] of from.holdings()) {
    const have = to.holdings().get(origin);
    const missing = heldVersions(holding).subtract(have === undefined ? Ranges.empty : heldVersions(have));
    const { changes, empty } = from.extract(origin, missing, 1 << 30);
    to.apply(changes, [{ origin, versions: empty }], from.basis());
  }
}

export function heldText(store: SqliteStore): string {
  const texts = [...store.holdings()].map(([origin, holding]) => `${origin}=${heldVersions(holding).toString()}`);
  return texts.sort().join(";");
}
