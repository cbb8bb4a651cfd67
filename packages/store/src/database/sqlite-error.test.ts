/** Memory that ran out is no fault of the file's: what needed it is undone as a whole, and the next thing is done. */
import { type Change, must, type SqlValue, type WriteOutcome } from "@patina/base";
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { openStore, Scratch, scrubbed } from "../testing/scratch-store.js";

const WALL = 1_790_000_000_000;
const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a TEXT);";
const scratch = new Scratch("memory");
afterAll(() => scratch.remove());

const changeOf = (outcome: WriteOutcome | undefined): Change => {
  return must(outcome?.ok === true ? outcome.change : undefined, "a change");
};

test("without memory writes and changes are refused as busy, whole, and the store goes on", () => {
  const paths = [scratch.newPath(), scratch.newPath()];
  let isOut = true;
  const use = (): void => {
    if (isOut) throw new Database.SqliteError("out of memory", "SQLITE_NOMEM");
  };
  const writer = openStore(must(paths[0], "a path"), 1, SCHEMA);
  const reader = openStore(must(paths[1], "a path"), 2, SCHEMA, { onRow: use });
  const row = (id: string): Record<string, SqlValue> => ({
    id,
    get a() {
      if (id === "large") use();
      return "x";
    },
  });
  const write = (...ids: string[]): (WriteOutcome | undefined)[] => {
    return writer.commit(
      ids.map((id) => ({ kind: "rows", rows: [{ table: "t", values: row(id) }] })),
      WALL,
    );
  };
  const busy = expect.objectContaining({ code: "store-busy", message: expect.stringContaining("memory") }) as Error;
  const first = changeOf(write("first")[0]);
  expect(() => write("small", "large")).toThrow(busy);
  expect(writer.read("SELECT id FROM t")).toEqual([["first"]]);
  expect(() => reader.apply([first])).toThrow(busy);
  expect([reader.quarantinedCount(), reader.holdings().size]).toEqual([0, 0]);
  isOut = false;
  const more = write("small", "large").map(changeOf);
  reader.apply([first, ...more]);
  expect(reader.read("SELECT id FROM t ORDER BY id")).toEqual([["first"], ["large"], ["small"]]);
  expect(reader.digest()).toBe(writer.digest());
  for (const store of [writer, reader]) store.close();
  expect(paths.map(scrubbed)).toEqual(["", ""]);
});
