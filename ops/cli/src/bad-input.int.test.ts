/** What a command is given wrongly, and a fleet of which nobody answers: a status and a sentence that say which of them it was. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePorts, type Ran, runPatina } from "./testing/fleet.js";

const dir = mkdtempSync(join(tmpdir(), "patina-bad-input-"));
const fleet = join(dir, "fleet.json");
const good = join(dir, "salvage.ndjson");
afterAll(() => rmSync(dir, { recursive: true }));

beforeAll(async () => {
  const port = await freePorts(1);
  const agents = [{ name: "nobody", api: `http://127.0.0.1:${port}` }];
  writeFileSync(fleet, JSON.stringify({ regions: { iad: agents }, global: agents }));
  const row = {
    table: "machines",
    origin: "a".repeat(49),
    version: 1,
    at: "2026-03-01T00:00:00Z",
    values: { id: "1" },
  };
  writeFileSync(good, `${JSON.stringify(row)}\n`);
});

const patina = async (...args: string[]): Promise<Ran> => runPatina([...args, "--fleet", fleet]);

describe("nobody answers", () => {
  test.each([
    ["handoff list"],
    ["members"],
    ["quarantine list"],
    ["query", "SELECT 1"],
    ["exec --region iad", "DELETE FROM machines"],
  ])("patina %s", async (command, ...sql) => {
    const { status, stderr } = await patina(...command.split(" "), ...sql);
    expect([status, stderr]).toEqual([4, expect.stringMatching(/nobody|iad/)]);
  });
});

describe("what is given makes no sense", () => {
  test.each([
    ["a time that is none", ["salvage", "list", good, "--since", "yesterday"], /--since.*such as 2026-/],
    ["a file that is not there", ["salvage", "list", join(dir, "none.ndjson")], /cannot read .*none\.ndjson/],
    ["a file of something else", ["salvage", "list", fleet], /fleet\.json:1: not a salvaged row/],
    ["a text with a quote too many", ["query", "SELECT ?", "-p", '"a"b"'], /quoted, and is no JSON text/],
    ["a number that would lose digits", ["query", "SELECT ?", "-p", "9007199254740993"], /too large/],
  ])("%s", async (_what, args, expected) => {
    const { status, stderr } = await patina(...args);
    expect([status, stderr]).toEqual([2, expect.stringMatching(expected)]);
  });

  test("and what does make sense is taken", async () => {
    const { status, stdout } = await patina("salvage", "list", good, "--since", "2026-02-28", "-o", "json");
    expect([status, JSON.parse(stdout)]).toEqual([0, [expect.objectContaining({ table: "machines", rows: 1 })]]);
  });
});
