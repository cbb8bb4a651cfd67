/**
 * Compares rows of a restored copy with a live one. The two differ wherever something was written since; but a row of one version
 * is one row, and must be the same in both.
 */
import Database from "better-sqlite3";
import { readMeta, rowsTable } from "../database/layout.js";
import { parseSchema, type TableSchema } from "../schema/schema.js";
import { quoteName } from "../sql/tokens.js";

export interface Sample {
  /** Rows that both have in the same version. */
  readonly compared: number;
  /** Tables with a row that is not the same. */
  readonly differing: readonly string[];
}

type Found = [origin: string, version: bigint, hash: bigint, ...key: unknown[]];

/** Looks at `perTable` rows of each table, spread by their hashes. Both files are opened for reading only. */
export function compareSample(restoredPath: string, livePath: string, perTable: number): Sample {
  const restored = new Database(restoredPath, { readonly: true, fileMustExist: true }).defaultSafeIntegers();
  const live = new Database(livePath, { readonly: true, fileMustExist: true }).defaultSafeIntegers();
  try {
    let compared = 0;
    const differing: string[] = [];
    const inLive = new Set(parseSchema(readMeta(live, "schema") ?? "").tables.map(({ name }) => name));
    for (const table of parseSchema(readMeta(restored, "schema") ?? "").tables) {
      if (!inLive.has(table.name)) continue;
      const results = compareTable(restored, live, table, perTable);
      compared += results.length;
      if (results.includes(false)) differing.push(table.name);
    }
    return { compared, differing };
  } finally {
    restored.close();
    live.close();
  }
}

/** Of each row that both have in one version, whether it is the same. */
function compareTable(
  restored: Database.Database,
  live: Database.Database,
  table: TableSchema,
  rows: number,
): boolean[] {
  const key = table.key.map(quoteName);
  const select = `SELECT o.origin, _patina_version, _patina_hash, ${key.join(", ")} FROM ${quoteName(rowsTable(table.name))}
    JOIN _patina_origins o ON o.idx = _patina_origin`;
  const sample = restored.prepare(`${select} ORDER BY _patina_hash LIMIT ?`).raw().all(rows) as Found[];
  const find = live.prepare(`${select} WHERE ${key.map((column) => `${column} IS ?`).join(" AND ")}`).raw();
  return sample.flatMap(([origin, version, hash, ...values]) => {
    const found = find.get(...values) as Found | undefined;
    return found?.[0] === origin && found[1] === version ? [found[2] === hash] : [];
  });
}
