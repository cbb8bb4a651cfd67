/**
 * The schema as the cluster agrees on it: rows of a replicated table, one per version, that all members adopt. Two applies
 * of the same version are two writes of one row: the greater stamp wins everywhere, and the loser's member sees it happen.
 */
import { AppError, type Hlc, must, type NodeId, type RowWrite } from "@patina/base";
import type Database from "better-sqlite3";
import { CLOCK_COLUMNS, readMeta, rowsTable } from "../database/layout.js";
import { parseSchema, type Schema, type TableSchema } from "./schema.js";
import { assertAdditive, assertUsable, planSchema, type SchemaPlan } from "./schema-plan.js";
import type { HiddenName } from "./hidden.js";
import { quoteName } from "../sql/tokens.js";

/** Its rows are written by the engine's own callers only: users may not name it. */
export const SCHEMAS_TABLE: TableSchema = must(
  parseSchema(
    `CREATE TABLE _patina_schemas (
      version INTEGER NOT NULL PRIMARY KEY,
      sql TEXT NOT NULL DEFAULT '',
      author TEXT NOT NULL DEFAULT '',
      dropped TEXT NOT NULL DEFAULT '')`,
    true,
  ).tables[0],
  "a table",
);

export const SCHEMAS_TABLE_NAME = SCHEMAS_TABLE.name;

const STAMPS = `SELECT version, ${CLOCK_COLUMNS[1]} FROM ${quoteName(rowsTable(SCHEMAS_TABLE.name))}`;

export interface SchemaVersion {
  readonly version: number;
  readonly sql: string;
  /** The node it was applied at. */
  readonly author: NodeId;
  /** Tables and `table.column`s whose data is to be erased: hidden before, and now gone. */
  readonly dropped: readonly string[];
}

/** Every version there is, the latest first; none in a file that no schema was ever applied in. */
export function schemaHistory(db: Database.Database): SchemaVersion[] {
  const rows = quoteName(rowsTable(SCHEMAS_TABLE.name));
  if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(rowsTable(SCHEMAS_TABLE.name)) === undefined)
    return [];
  const versions = db.prepare(`SELECT version, sql, author, dropped FROM ${rows} ORDER BY version DESC`).all();
  return (versions as { version: number; sql: string; author: string; dropped: string }[]).map(
    ({ dropped, ...row }) => {
      return { ...row, dropped: dropped === "" ? [] : dropped.split(",") };
    },
  );
}

/** A name that was dropped and is in use again, for another table or column. */
export interface Reused {
  readonly name: string;
  /** The version that brought it back. */
  readonly version: number;
  /** That version's stamp: whoever writes the new one has seen it, so what is stamped before is of the one that was dropped. */
  readonly since: Hlc;
}

export interface GoneNames {
  /** What the latest version has erased, or is erasing: tables and `table.column`s. */
  readonly dropped: readonly string[];
  readonly reused: readonly Reused[];
}

export function goneNames(db: Database.Database): GoneNames {
  const history = schemaHistory(db).reverse();
  const stamps = new Map(
    history.length === 0 ? [] : (db.prepare(STAMPS).raw().safeIntegers(true).all() as [bigint, Hlc][]),
  );
  const reused = new Map<string, Reused>();
  let dropped: readonly string[] = [];
  for (const { version, dropped: now } of history) {
    const since = must(stamps.get(BigInt(version)), "the stamp of a version");
    for (const name of dropped) if (!now.includes(name)) reused.set(name, { name, version, since });
    for (const name of now) reused.delete(name);
    dropped = now;
  }
  return { dropped, reused: [...reused.values()] };
}

/** The write that applies a version: an object like any other, which must be the first of its version here. */
export function schemaWrite({ version, sql, author, dropped }: SchemaVersion): RowWrite {
  const values = { version: BigInt(version), sql, author, dropped: dropped.join(",") };
  return { table: SCHEMAS_TABLE.name, values, condition: { kind: "absent" } };
}

/**
 * The schema a file is opened with: the cluster's, once one was applied; else the one that came with the program, if it
 * only adds to what is there. Throws `schema-destructive` when it does not.
 */
export function schemaToOpen(db: Database.Database, shipped: Schema): Schema {
  const [latest] = schemaHistory(db);
  if (latest !== undefined) return parseSchema(latest.sql);
  const here = readMeta(db, "schema");
  if (here === undefined) assertUsable(shipped);
  else assertAdditive(planSchema(parseSchema(here), shipped));
  return shipped;
}

/**
 * The version that follows the latest with this schema, or undefined when it changes nothing. Throws `schema-invalid`,
 * `schema-destructive`, or `bad-request` for an `ignored` that the schema does not remove.
 */
export function nextVersion(
  current: Schema,
  history: readonly SchemaVersion[],
  { sql, author, ignored }: { readonly sql: string; readonly author: NodeId; readonly ignored: readonly string[] },
): { readonly plan: SchemaPlan; readonly next: SchemaVersion | undefined } {
  const wanted = parseSchema(sql);
  assertUsable(wanted);
  const plan = planSchema(current, wanted);
  assertAdditive(plan, ignored);
  const isChanged = plan.adds.length + plan.removes.length > 0 || history.length === 0;
  const version = (history[0]?.version ?? 0) + 1;
  const names = namesIn(wanted);
  const dropped = (history[0]?.dropped ?? []).filter((name) => !names.has(name)); // What is back is no longer dropped.
  return { plan, next: isChanged ? { version, sql, author, dropped } : undefined };
}

/** The version that erases what is hidden. Throws `bad-request` for a name that is not, or cannot be dropped. */
export function dropVersion(
  history: readonly SchemaVersion[],
  names: readonly string[],
  hidden: readonly HiddenName[],
  author: NodeId,
): SchemaVersion {
  const [latest] = history;
  const stray = names.find((wanted) => !hidden.some(({ name }) => name === wanted));
  if (latest === undefined || names.length === 0 || stray !== undefined) {
    throw new AppError("bad-request", `${stray ?? "nothing"} is not hidden, and cannot be dropped`, {
      hint: `Apply a schema without it first, with --ignore. Hidden are: ${hidden.map(({ name }) => name).join(", ") || "none"}.`,
    });
  }
  const odd = hidden.find(({ name, isDroppable }) => !isDroppable && names.includes(name));
  if (odd !== undefined) {
    throw new AppError("bad-request", `${odd.name} cannot be dropped: a name in it has a comma or a point`, {
      hint: "Leave it hidden: it costs no more than the room it takes.",
    });
  }
  const dropped = [...new Set([...latest.dropped, ...names])];
  return { version: latest.version + 1, sql: latest.sql, author, dropped };
}

function namesIn({ tables }: Schema): Set<string> {
  return new Set(tables.flatMap(({ name, columns }) => [name, ...columns.map((column) => `${name}.${column.name}`)]));
}
