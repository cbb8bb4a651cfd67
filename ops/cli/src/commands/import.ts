/** `patina import`: objects from a file into a table of a region, in any number, to be taken up again where it stopped. */
import { createReadStream, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { type Command, InvalidArgumentError, Option } from "commander";
import { AppError, asAppError, messageOf } from "@patina/base";
import type { PatinaClient } from "@patina/api/client";
import { systemNow } from "@patina/runtime";
import { parseSchema, type TableSchema } from "@patina/store";
import { EXIT } from "../exit-status.js";
import { agentsOf, type Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyRouter } from "../fleet/reach.js";
import { loadTable, type LoadState } from "../import/load-table.js";
import { type ImportFormat, objectsIn } from "../import/object-source.js";
import { importProgress } from "../import/progress.js";
import { counted, note, seconds } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface ImportFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
  readonly format?: ImportFormat;
  readonly skip: number;
}

const HELP = `
NDJSON is one JSON object a line. The first line of CSV names the columns; a field is typed by its column: a whole number
for INTEGER, a number for REAL, hexadecimal for BLOB. An empty field is NULL where the column may be null, else empty in a
TEXT column and the default in any other.

Rows go in a hundred or so a transaction, and what is in stays in. On an error or Ctrl-C it says up to which line rows are
in: --skip with that number goes on from there. With -o json it prints a line of progress every second and one at the end.

Exit status: 0 all in · 1 a row was refused · 2 a line that cannot be read · 3 no such table or region · 4 unreachable ·
130 stopped by Ctrl-C

  patina import machines machines.csv --region iad
  jq -c '.[]' dump.json | patina import machines --region iad --format ndjson`;

export function addImport(program: Command): void {
  withCommon(
    program
      .command("import")
      .description("put the objects of an NDJSON or CSV file into a table")
      .argument("<table>")
      .argument("[file]", "a file, or - for standard input", "-"),
  )
    .option("--region <region>", "into this region")
    .option("--global", "into the global tier")
    .addOption(new Option("--format <format>", "by the file's name when left out").choices(["ndjson", "csv"]))
    .option("--skip <lines>", "pass over this many lines, which are in already", lineCount, 0)
    .addHelpText("after", HELP)
    .action(importFile);
}

async function importFile(table: string, file: string, options: ImportFlags): Promise<void> {
  const format = formatOf(file, options.format);
  const connect = connectorOf(fleetOf(options), options);
  const schema = await tableOf(await connect(), table);
  const { input, bytes, bytesRead } = open(file);
  let isStopped = false;
  const onInterrupt = (): void => {
    isStopped = true; // The request that is under way is finished; a second Ctrl-C ends it all.
    input.destroy();
  };
  process.once("SIGINT", onInterrupt);
  const progress = importProgress(options.output, bytes);
  const beganMs = systemNow().monotonicMs;
  let last: LoadState = { line: options.skip, read: 0, changed: 0 };
  try {
    last = await loadTable({
      table,
      lines: objectsIn(input, format, schema),
      skip: options.skip,
      connect,
      isStopped: () => isStopped,
      onProgress: (state) => progress.update((last = state), bytesRead()),
    });
  } catch (thrown) {
    progress.end();
    report(options, last, beganMs, "failed");
    throw unreadableFile(thrown, file);
  } finally {
    process.removeListener("SIGINT", onInterrupt);
  }
  progress.end();
  report(options, last, beganMs, isStopped ? "stopped" : "done");
  if (isStopped) process.exitCode = EXIT.interrupted;
}

/** What is in, however it ended. */
function report({ output }: ImportFlags, state: LoadState, beganMs: number, end: "done" | "stopped" | "failed"): void {
  const elapsedMs = Math.max(1, systemNow().monotonicMs - beganMs);
  const { line, read, changed } = state;
  if (output === "json") {
    const document = { end, committed_lines: line, rows_read: read, rows_changed: changed, time: elapsedMs / 1000 };
    process.stdout.write(`${JSON.stringify(document)}\n`);
  } else {
    const rate = Math.round((read * 1000) / elapsedMs);
    process.stdout.write(`${counted(read, "row")} read, ${changed} changed, in ${seconds(elapsedMs)} (${rate}/s)\n`);
  }
  if (end !== "done" && line > 0) note(`rows up to line ${line} are in: go on with --skip ${line}`);
}

function connectorOf(fleet: Fleet, { region, global }: ImportFlags): () => Promise<PatinaClient> {
  if ((region === undefined) === (global !== true)) {
    throw new AppError("bad-request", "say where to: --region REGION or --global", { hint: "One of them, not both." });
  }
  if (region === undefined) return () => anyRouter(fleet);
  agentsOf(fleet, region);
  return () => anyIn(fleet, region);
}

async function tableOf(client: PatinaClient, name: string): Promise<TableSchema> {
  const { sql } = await client.request<{ sql: string }>("/v1/schema");
  const { tables } = parseSchema(sql);
  const table = tables.find((it) => it.name === name);
  if (table !== undefined) return table;
  throw new AppError("table-unknown", `no such table: ${name}`, {
    hint: `The tables are ${tables.map((it) => it.name).join(", ")}.`,
  });
}

function formatOf(file: string, format: ImportFormat | undefined): ImportFormat {
  if (format !== undefined) return format;
  if (/\.csv$/i.test(file)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(file)) return "ndjson";
  throw new AppError("bad-request", `the name ${file} does not say what is in it`, {
    hint: "Say --format ndjson or --format csv.",
  });
}

interface Opened {
  readonly input: Readable;
  /** Undefined for standard input. */
  readonly bytes: number | undefined;
  readonly bytesRead: () => number;
}

function open(file: string): Opened {
  if (file === "-") return { input: process.stdin, bytes: undefined, bytesRead: () => 0 };
  try {
    const { size } = statSync(file);
    const input = createReadStream(file, { highWaterMark: 256 << 10 });
    return { input, bytes: size, bytesRead: () => input.bytesRead };
  } catch (cause) {
    throw new AppError("bad-request", `cannot read ${file}: ${messageOf(cause)}`, { cause, hint: "Name a file." });
  }
}

function unreadableFile(thrown: unknown, file: string): AppError {
  if (thrown instanceof AppError) return thrown;
  const { message } = asAppError(thrown);
  return new AppError("bad-request", `cannot read ${file}: ${message}`, { cause: thrown, hint: "Name a file." });
}

function lineCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number of lines.");
}
