/** What a transaction commits, as another connection sees it: the work and what mirrors it, together or not at all. */
import Database from "better-sqlite3";
import { afterAll, expect, test } from "vitest";
import { Scratch } from "../testing/scratch-store.js";
import { type Mirror, Transactions } from "./transactions.js";

const scratch = new Scratch("transactions");
afterAll(() => scratch.remove());

test("work and mirrors are one commit; when either fails neither is there, and memory goes back to what is", () => {
  const path = scratch.newPath();
  const [db, other] = [new Database(path), new Database(path)];
  db.pragma("journal_mode = WAL");
  db.exec("CREATE TABLE work (n INTEGER); CREATE TABLE mirrored (n INTEGER)");
  const seen = (): number[][] => ["work", "mirrored"].map((table) => other.prepare(`SELECT n FROM ${table}`).pluck().all() as number[]); // prettier-ignore
  let [isBroken, reloads, seenMeanwhile] = [false, 0, [[-1]]];
  const mirror: Mirror = {
    flush: (at) => {
      seenMeanwhile = seen();
      at.exec("INSERT INTO mirrored VALUES (1)");
      if (isBroken) throw new Error("broken");
    },
    reload: () => void reloads++,
  };
  const transactions = new Transactions(db, [mirror], { isDurable: true });
  const work = (): void => transactions.run("FULL", (at) => void at.exec("INSERT INTO work VALUES (1)"));
  work();
  expect([seenMeanwhile, seen(), reloads]).toEqual([[[], []], [[1], [1]], 0]);
  isBroken = true;
  expect(work).toThrow("broken");
  expect(() => transactions.run("FULL", () => { throw new Error("no"); })).toThrow("no"); // prettier-ignore
  expect([seen(), reloads]).toEqual([[[1], [1]], 2]);
  for (const each of [db, other]) each.close();
});
