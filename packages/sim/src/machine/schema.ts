/** The tables of a simulated cluster, and how they grow while it runs. */

const BASE = `
-- @app app
CREATE TABLE machines (
  id TEXT NOT NULL PRIMARY KEY, app TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT 'created',
  cpus INTEGER NOT NULL DEFAULT 1, note TEXT ZONE);
CREATE INDEX machines_app ON machines (app);
-- Ever only inserted into, each row once: what was acknowledged must be here, everywhere, in the end.
CREATE TABLE ledger (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL DEFAULT '');
-- @owner worker
CREATE TABLE leases (id TEXT NOT NULL PRIMARY KEY, worker TEXT, term INTEGER NOT NULL DEFAULT 0);
`;

/** Each adds to the one before it. */
const SCHEMAS = [
  BASE.replace(" ZONE", ""),
  BASE.replace(" ZONE", ", zone TEXT NOT NULL DEFAULT ''"),
  `${BASE.replace(" ZONE", ", zone TEXT NOT NULL DEFAULT ''")}
CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL DEFAULT '');`,
] as const;

export const SIM_SCHEMA: string = SCHEMAS[0];

/** The schema after the one that has these tables; none after the last. */
export function nextSchema(sql: string): string | undefined {
  if (!/\bzone\b/.test(sql)) return SCHEMAS[1];
  return /\bnotes\b/.test(sql) ? undefined : SCHEMAS[2];
}

/** Tables, and of each the columns that every schema has: what a row says, whoever reads it. */
export const TABLE_COLUMNS: ReadonlyMap<string, string> = new Map([
  ["machines", "id, app, state, cpus, note"],
  ["ledger", "id, body"],
  ["leases", "id, worker, term"],
  ["notes", "id, body"],
]);
