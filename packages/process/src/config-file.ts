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
  for (const [name, value] of Object.entries(env)) {
    if (name.startsWith(ENV_PREFIX) && value !== undefined) override(tree, name, value);
  }
  const checked = schema.safeParse(tree);
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

function override(tree: Tree, name: string, value: string): void {
  const keys = name.slice(ENV_PREFIX.length).toLowerCase().split("__");
  const last = keys.pop() ?? "";
  let at = tree;
  for (const key of keys) at = (at[key] ??= {}) as Tree;
  at[last] = typeof at[last] === "string" ? value : parseScalar(value);
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
