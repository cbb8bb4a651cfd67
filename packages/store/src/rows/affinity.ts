/**
 * Column affinity: how SQLite changes a value as it stores it (https://sqlite.org/datatype3.html, §3). A value that is
 * already as its column would keep it can be compared and hashed before it is written; any other has to be written first
 * and read back.
 */
import type { SqlValue } from "@patina/base";

export type Affinity = "integer" | "text" | "blob" | "real" | "numeric";

/** By the declared type, in the order of the rules. `ANY` is a type of its own in STRICT tables only. */
export function affinityOf(type: string, isStrict: boolean): Affinity {
  const upper = type.toUpperCase();
  if (upper.includes("INT")) return "integer";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "text";
  if (upper === "" || (upper === "ANY" && isStrict) || upper.includes("BLOB")) return "blob";
  return /REAL|FLOA|DOUB/.test(upper) ? "real" : "numeric";
}

/** Would a column of this affinity keep the value exactly as it is? False means "perhaps not": write it and look. */
export function isStoredAsIs(value: SqlValue, affinity: Affinity): boolean {
  if (value === null || value instanceof Uint8Array || affinity === "blob") return !isUnsteady(value);
  switch (affinity) {
    case "text":
      return typeof value === "string";
    case "integer":
    case "numeric":
      return typeof value === "bigint";
    case "real":
      return typeof value === "number" && !isUnsteady(value);
  }
}

/** SQLite may keep -0.0 as 0.0, and keeps NaN as null. */
function isUnsteady(value: SqlValue): boolean {
  return typeof value === "number" && (Object.is(value, -0) || Number.isNaN(value));
}

/** The same value of the same type: 1 and 1.0 are not, equal bytes are. */
export function isSameValue(a: SqlValue, b: SqlValue): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  return Object.is(a, b);
}
