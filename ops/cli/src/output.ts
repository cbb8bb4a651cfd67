/** What a command prints: data on stdout as a table for people or JSON for programs, everything else on stderr. */
import Table from "cli-table3";
import pc from "picocolors";

export type OutputFormat = "table" | "json";

const PLAIN_BORDER = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
};

/** `json` is the document a program gets; the table shows the same to a person. */
export function print(format: OutputFormat, json: unknown, table: () => string): void {
  process.stdout.write(format === "json" ? `${JSON.stringify(json, undefined, 2)}\n` : table());
}

export function renderTable(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const table = new Table({
    head: head.map((name) => pc.bold(name)),
    chars: PLAIN_BORDER,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const row of rows) table.push(row.map(cell));
  return rows.length === 0 ? `${head.join("  ")}\n${pc.dim("(none)")}\n` : `${table.toString()}\n`;
}

/** A line of progress or warning. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** `1 row`, `2 rows`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

export function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return pc.dim("-");
  return typeof value === "string" ? value : JSON.stringify(value);
}
