/**
 * Configuration: a TOML file, and the environment over it (`PATINA__GOSSIP__ADVERTISE` sets `gossip.advertise`). What is
 * wrong is reported with file, line and key, all of it at once, before anything starts.
 */
import { readFileSync } from "node:fs";
import { AppError, messageOf } from "@patina/base";
import { parse, TomlError } from "smol-toml";
import type { z } from "zod";

const ENV_PREFIX = "PATINA__";

type Tree = { [key: string]: unknown };

/** Reads, overrides and checks. Throws `config-invalid`. */
export function loadConfig<T>(
  path: string,
  env: Readonly<Record<string, string | undefined>>,
  schema: z.ZodType<T>,
): T {
  const text = readConfig(path);
  const tree = parseToml(path, text);
  const overrides = Object.entries(env).flatMap(([name, value]) => {
    return name.startsWith(ENV_PREFIX) && value !== undefined ? [{ keys: keysOf(name), text: value }] : [];
  });
  for (const { keys, text: value } of overrides) set(tree, keys, parseScalar(value));
  let checked = schema.safeParse(tree);
  if (checked.success) return checked.data;
  // What looks like a number may have been meant as text: the environment has no quotes to tell.
  const asText = checked.error.issues.flatMap((issue) => {
    const isForText = issue.code === "invalid_type" && issue.expected === "string";
    return isForText ? overrides.filter(({ keys }) => keys.join(".") === issue.path.join(".")) : [];
  });
  for (const { keys, text: value } of asText) set(tree, keys, value);
  if (asText.length > 0) checked = schema.safeParse(tree);
  if (checked.success) return checked.data;
  const problems = checked.error.issues.map(({ path: keys, message }) => {
    const line = lineOf(text, keys.map(String));
    return `${path}${line === undefined ? "" : `:${line}`}: ${keys.join(".") || "(top level)"}: ${message}`;
  });
  throw new AppError("config-invalid", problems.join("\n"), {
    hint: "Correct the keys named above; infra/config has a commented example of each file.",
    details: { file: path, keys: checked.error.issues.map((issue) => issue.path.join(".")) },
  });
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new AppError("config-invalid", `cannot read the configuration ${path}: ${messageOf(cause)}`, {
      cause,
      hint: "Pass an existing file with --config.",
    });
  }
}

function parseToml(path: string, text: string): Tree {
  try {
    return parse(text);
  } catch (cause) {
    const where = cause instanceof TomlError ? `:${cause.line}:${cause.column}` : "";
    throw new AppError("config-invalid", `${path}${where}: ${messageOf(cause)}`, { cause, hint: "The file is TOML." });
  }
}

function keysOf(name: string): string[] {
  return name.slice(ENV_PREFIX.length).toLowerCase().split("__");
}

/** What is in the way of a key, and has no keys of its own, gives way to it. */
function set(tree: Tree, keys: readonly string[], value: unknown): void {
  let at = tree;
  for (const key of keys.slice(0, -1)) {
    const below = at[key];
    at = isTree(below) ? below : (at[key] = {});
  }
  const last = keys.at(-1) ?? "";
  at[last] = value;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Numbers, booleans and lists as TOML writes them; anything else is text. */
function parseScalar(value: string): unknown {
  try {
    return parse(`value = ${value}`)["value"];
  } catch {
    return value;
  }
}

/** Where a key stands: its line under its section's header. */
function lineOf(text: string, keys: readonly string[]): number | undefined {
  const key = keys.find((part, i) => i === Math.min(1, keys.length - 1) && part !== "");
  const section = keys.length > 1 ? keys[0] : undefined;
  let current: string | undefined;
  let sectionLine: number | undefined;
  for (const [i, line] of text.split("\n").entries()) {
    const header = /^\s*\[\s*([^\]\s]+)\s*\]/.exec(line)?.[1];
    if (header !== undefined) current = header;
    if (header !== undefined && header === section) sectionLine = i + 1;
    if (current === section && new RegExp(`^\\s*${key}\\s*=`).test(line)) return i + 1;
  }
  return sectionLine;
}
