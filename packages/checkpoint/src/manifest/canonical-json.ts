/**
 * One text per value, so that a value can be named by the hash of its text: keys sorted, no spaces, integers only, and what is undefined left out.
 * The same rules as RFC 8785 for what manifests hold.
 */
import { createHash } from "node:crypto";
import { AppError } from "@patina/base";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

export function canonicalJson(value: Json): string {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new AppError("bad-request", `${value} cannot be recorded: numbers are safe integers`);
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const members = entries.flatMap(([key, member]) =>
    member === undefined ? [] : [`${JSON.stringify(key)}:${canonicalJson(member)}`],
  );
  return `{${members.join(",")}}`;
}

export function canonicalBytes(value: Json): Uint8Array {
  return Buffer.from(canonicalJson(value), "utf8");
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function isArray(value: Exclude<Json, null | boolean | number | string>): value is readonly Json[] {
  return Array.isArray(value);
}
