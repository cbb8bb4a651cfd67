/**
 * `patina salvage list|replay FILE…`: what members had beyond the checkpoint that their cluster went back to. Each wrote such a
 * file beside the data it put aside; rows that were good are written again, as new writes of the present generation.
 */
import { open } from "node:fs/promises";
import { type Command, InvalidArgumentError } from "commander";
import { AppError, messageOf } from "@patina/base";
import type { PatinaClient } from "@patina/api/client";
import type { SalvagedRow } from "@patina/store";
import { agentsOfCluster } from "../fleet/fleet-file.js";
import { anyOf } from "../fleet/reach.js";
import { parseSchema } from "@patina/store";
import { print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface SalvageFlags extends CommonOptions {
  readonly table?: readonly string[];
  readonly origin?: readonly string[];
  readonly exceptOrigin?: readonly string[];
  /** Milliseconds since 1970. */
  readonly since?: number;
  readonly until?: number;
}

interface ReplayFlags extends SalvageFlags {
  readonly region: string;
}

/** Rows in one transaction of a replay. */
const ROWS_AT_ONCE = 100;

const HELP = `
Several files, of several members, may be given at once: of a row that is in more than one, the latest state counts.
An origin is a node's id, or the first digits of it.

  patina salvage list iad/*/node.replaced-by-generation-2/salvage.ndjson
  patina salvage replay iad/*/node.replaced-by-generation-2/salvage.ndjson --region iad --except-origin 3f2a`;

export function addSalvage(program: Command): void {
  const salvage = program
    .command("salvage")
    .description("what a rollback took back, from the files that members wrote");
  filtered(salvage.command("list").description("how many rows there are, by table and origin")).action(list);
  filtered(salvage.command("replay").description("write rows again, as new writes"))
    .requiredOption("--region <region>", "where to write them; `global` for the global tier")
    .action(replay);
}

function filtered(command: Command): Command {
  const many = (value: string, before: readonly string[] = []): string[] => [...before, value];
  return withCommon(command.argument("<file...>"))
    .option("--table <table>", "only of this table (may be given again)", many)
    .option("--origin <node>", "only what this node wrote (may be given again)", many)
    .option("--except-origin <node>", "nothing that this node wrote (may be given again)", many)
    .option("--since <time>", "only what was written at that time or later", timeOf)
    .option("--until <time>", "only what was written before that time", timeOf)
    .addHelpText("after", HELP);
}

function timeOf(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError("It is a time such as 2026-03-01T12:00:00Z.");
  return ms;
}

async function list(files: readonly string[], options: SalvageFlags): Promise<void> {
  const counts = new Map<string, { table: string; node: string; rows: number; deleted: number }>();
  for (const { table, origin, deleted } of await salvagedRows(files, options)) {
    const node = origin.slice(0, 32);
    const count = counts.get(`${table} ${node}`) ?? { table, node, rows: 0, deleted: 0 };
    counts.set(`${table} ${node}`, count);
    count.rows++;
    if (deleted) count.deleted++;
  }
  const all = [...counts.values()];
  print(
    options.output,
    all,
    () =>
    renderTable(["table", "written by", "rows", "of which deletions"], all.map((it) => [it.table, it.node, it.rows, it.deleted])), // prettier-ignore
  );
}

async function replay(files: readonly string[], options: ReplayFlags): Promise<void> {
  const rows = await salvagedRows(files, options);
  const fleet = fleetOf(options);
  const client = await anyOf(agentsOfCluster(fleet, options.region), options.region);
  const keys = await keysOf(client);
  let changed = 0;
  for (const { table, deleted, batch } of batches(rows)) {
    const key = keys.get(table);
    if (key === undefined) throw new AppError("table-unknown", `${options.region} has no table ${table}`);
    const body = batch.map(({ values }) =>
      deleted ? Object.fromEntries(key.map((name) => [name, values[name]])) : values,
    );
    const path = `/v1/tables/${encodeURIComponent(table)}/rows`;
    const answer = await client.request<{ rows_changed: number }>(path, { method: deleted ? "DELETE" : "PUT", body });
    changed += answer.rows_changed;
  }
  print(
    options.output,
    { rows: rows.length, changed },
    () => `${rows.length} rows written again, ${changed} of them changed\n`,
  );
}

async function keysOf(client: PatinaClient): Promise<Map<string, readonly string[]>> {
  const { sql } = await client.request<{ sql: string }>("/v1/schema");
  return new Map(parseSchema(sql).tables.map(({ name, key }) => [name, key]));
}

/** In the order they were written, as long runs of one table and kind as there are. */
function* batches(rows: readonly SalvagedRow[]): Generator<{ table: string; deleted: boolean; batch: SalvagedRow[] }> {
  for (let at = 0; at < rows.length;) {
    const first = rows[at];
    if (first === undefined) return;
    const { table, deleted } = first;
    let end = at + 1;
    while (end < rows.length && end - at < ROWS_AT_ONCE && rows[end]?.table === table && rows[end]?.deleted === deleted)
      end++;
    yield { table, deleted, batch: rows.slice(at, end) };
    at = end;
  }
}

/** The rows that the filters leave, each once and as it was last, in the order they were written. */
async function salvagedRows(files: readonly string[], filters: SalvageFlags): Promise<SalvagedRow[]> {
  const latest = new Map<string, SalvagedRow>();
  for (const file of files) {
    let line = 0;
    for await (const text of linesOf(file)) {
      line++;
      const row = parseLine(text, `${file}:${line}`);
      const id = `${row.origin}/${row.version}/${row.table}/${JSON.stringify(row.values)}`;
      if (passes(row, filters)) latest.set(id, row);
    }
  }
  return [...latest.values()].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.version - b.version));
}

async function* linesOf(file: string): AsyncGenerator<string, void, void> {
  try {
    const opened = await open(file);
    yield* opened.readLines({ encoding: "utf8" });
  } catch (cause) {
    throw new AppError("bad-request", `cannot read ${file}: ${messageOf(cause)}`, {
      cause,
      hint: "Give files named salvage.ndjson, which members write when their generation is over.",
    });
  }
}

function passes({ table, origin, at }: SalvagedRow, filters: SalvageFlags): boolean {
  const { table: tables, origin: origins, exceptOrigin = [], since, until } = filters;
  if (tables !== undefined && !tables.includes(table)) return false;
  if (origins !== undefined && !origins.some((start) => origin.startsWith(start))) return false;
  if (exceptOrigin.some((start) => origin.startsWith(start))) return false;
  return (since === undefined || Date.parse(at) >= since) && (until === undefined || Date.parse(at) < until); // prettier-ignore
}

function parseLine(text: string, where: string): SalvagedRow {
  try {
    const row = JSON.parse(text) as Partial<SalvagedRow>;
    if (typeof row.table === "string" && typeof row.origin === "string" && row.values !== undefined)
      return row as SalvagedRow;
    throw new Error("not a salvaged row");
  } catch (thrown) {
    throw new AppError("bad-request", `${where}: ${messageOf(thrown)}`, {
      hint: "Give files named salvage.ndjson, which members write when their generation is over.",
    });
  }
}
