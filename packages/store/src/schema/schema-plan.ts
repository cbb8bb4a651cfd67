/**
 * What lies between two schemas. Additions may be applied at once; what goes away must be named, so that no slip of an
 * editor hides a column of a whole cluster; a changed definition is refused, since old peers still write the old one.
 */
import { AppError } from "@patina/base";
import { NAME_BYTES_MAX } from "../rows/row-codec.js";
import type { NamedStatement, Schema, TableSchema } from "./schema.js";

export interface SchemaPlan {
  /** Tables, `table.column`s, indexes and views that are new, and indexes and views that are defined anew. */
  readonly adds: readonly string[];
  /** Tables and `table.column`s that are no longer there; indexes and views, which hold nothing, go without saying. */
  readonly removes: readonly string[];
  /** Columns and keys that would mean something else. */
  readonly conflicts: readonly string[];
}

export function planSchema(current: Schema, wanted: Schema): SchemaPlan {
  const adds: string[] = [];
  const removes: string[] = [];
  const conflicts: string[] = [];
  for (const table of wanted.tables) {
    const known = current.tables.find(({ name }) => name === table.name);
    if (known === undefined) adds.push(`table ${table.name}`);
    else planTable(known, table, { adds, removes, conflicts });
  }
  for (const { name } of current.tables) if (!wanted.tables.some((table) => table.name === name)) removes.push(name);
  adds.push(...changed(current.indexes, wanted.indexes).map((name) => `index ${name}`));
  adds.push(...changed(current.views, wanted.views).map((name) => `view ${name}`));
  return { adds, removes, conflicts };
}

/**
 * Throws `schema-destructive` when the plan changes a definition, or removes anything that `ignored` does not name: an
 * ignored table or column is hidden everywhere and keeps its data until it is dropped.
 */
export function assertAdditive({ removes, conflicts }: SchemaPlan, ignored: readonly string[] = []): void {
  const [conflict] = conflicts;
  if (conflict !== undefined) {
    throw new AppError("schema-destructive", `the schema changes the definition of ${conflicts.join(", ")}`, {
      hint: "Add a new column or table instead; old peers still write the one that is there.",
    });
  }
  const unnamed = removes.filter((name) => !ignored.includes(name));
  if (unnamed.length > 0) {
    throw new AppError("schema-destructive", `the schema no longer has ${unnamed.join(", ")}, which may hold data`, {
      hint: `Put it back, or hide it everywhere with --ignore ${unnamed.join(",")} and drop it once all have adopted that.`,
    });
  }
  const [stray] = ignored.filter((name) => !removes.includes(name));
  if (stray !== undefined) {
    throw new AppError("bad-request", `${stray} is not what this schema removes`, {
      hint: "Name tables and table.columns that the current schema has and this one has not.",
    });
  }
}

/**
 * Throws `schema-invalid` for what could be compiled and would not do what it says. A cluster that has it already goes on with
 * it: this is asked of a schema that is about to be applied.
 */
export function assertUsable({ tables }: Schema): void {
  for (const { name, columns, appColumn } of tables) {
    refuseLongName(name);
    for (const column of columns) refuseLongName(column.name);
    if (columns.some((column) => column.name === appColumn && column.isGenerated)) {
      throw new AppError("schema-invalid", `table ${name}: @app names ${appColumn}, which is generated`, {
        hint: "Name a column that is written: one that is generated is in no row that is sent.",
      });
    }
  }
}

function refuseLongName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes <= NAME_BYTES_MAX) return;
  const message = `the name ${name.slice(0, 40)}… has ${bytes} bytes; at most ${NAME_BYTES_MAX} are allowed`;
  throw new AppError("schema-invalid", message, { hint: "Choose a shorter one: no peer could read a change of it." });
}

function planTable(
  known: TableSchema,
  wanted: TableSchema,
  { adds, removes, conflicts }: Record<"adds" | "removes" | "conflicts", string[]>,
): void {
  const { name } = wanted;
  if (known.key.join() !== wanted.key.join() || known.options !== wanted.options) conflicts.push(`the key of ${name}`);
  if (known.checks !== wanted.checks) conflicts.push(`the checks of ${name}`);
  for (const column of wanted.columns) {
    const before = known.columns.find((it) => it.name === column.name);
    if (before === undefined) adds.push(`column ${name}.${column.name}`);
    else if (before.signature !== column.signature) conflicts.push(`${name}.${column.name}`);
  }
  for (const column of known.columns) {
    if (!wanted.columns.some((it) => it.name === column.name)) removes.push(`${name}.${column.name}`);
  }
  if (known.appColumn !== wanted.appColumn) adds.push(`annotation @app of ${name}`);
  if (known.ownerColumn !== wanted.ownerColumn) adds.push(`annotation @owner of ${name}`);
}

function changed(current: readonly NamedStatement[], wanted: readonly NamedStatement[]): string[] {
  const known = new Map(current.map(({ name, sql }) => [name, sql]));
  return wanted.filter(({ name, sql }) => known.get(name) !== sql).map(({ name }) => name);
}
