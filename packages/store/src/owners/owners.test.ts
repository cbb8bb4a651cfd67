/** Rows that change hands while messages are lost, doubled and late and processes die: one owner each, and nobody fooled. */
import { must, type Write } from "@patina/base";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { OwnersWorld, type Wish, type Worker } from "../testing/owners-world.js";
import { Scratch } from "../testing/scratch-store.js";

/** `PATINA_PROOF=20 npm test -- owners` proves for twenty times as long. */
const RUNS = 150 * Number(process.env["PATINA_PROOF"] ?? 1);
const WORKERS = ["a", "b", "c"];
const HOUR_MS = 3_600_000;

const scratch = new Scratch("owners");
afterAll(() => scratch.remove());

const id = fc.constantFrom("m", "k");
const owner = fc.constantFrom("", ...WORKERS);
const n = fc.nat(3).map(BigInt);
const sql = (text: string, ...params: (string | bigint)[]): Write => {
  return { kind: "statements", statements: [{ sql: text, params }] };
};

const asked: fc.Arbitrary<readonly [Wish, Write]> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ id, owner, n }).map((it) => [it, { kind: "rows", rows: [{ table: "machines", values: { id: it.id, worker: it.owner, n: it.n } }] }] as const) }, // prettier-ignore
  { weight: 3, arbitrary: fc.record({ id, n }).map((it) => [it, sql("UPDATE machines SET n = ? WHERE id = ?", it.n, it.id)] as const) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ id, owner }).map((it) => [it, sql("UPDATE machines SET worker = ? WHERE id = ?", it.owner, it.id)] as const) }, // prettier-ignore
  { weight: 1, arbitrary: id.map((it) => [{ id: it, isEnd: true }, sql("DELETE FROM machines WHERE id = ?", it)] as const) }, // prettier-ignore
  { weight: 1, arbitrary: id.map((it) => [{ id: it, isEnd: true }, { kind: "rows", rows: [{ table: "machines", values: { id: it }, deleted: true }] }] as const) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ id, owner: fc.constantFrom(...WORKERS) }).map((it) => [it, { kind: "handoffs", handoffs: [{ table: "machines", key: [it.id], to: it.owner }] }] as const) }, // prettier-ignore
);
const at = fc.nat(WORKERS.length - 1);
const skewMs = fc.constantFrom(0, 0, 0, HOUR_MS, -HOUR_MS);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), at, asked, skewMs }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("claim" as const), at, id, skewMs }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("deliver" as const), at, picks: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }) }) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("repair" as const), at, from: at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const), at, keptShare: fc.constantFrom(0, 0.5, 1) }) }, // prettier-ignore
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function perform(world: OwnersWorld, it: Step): Worker {
  const worker = must(world.workers[it.at], "a worker");
  switch (it.kind) {
    case "write":
      world.write(worker, ...it.asked, it.skewMs);
      break;
    case "claim": {
      const wish = { id: it.id, owner: worker.name, isClaim: true };
      const write: Write = { kind: "handoffs", handoffs: [{ table: "machines", key: { id: it.id }, to: undefined }] };
      world.write(worker, wish, write, it.skewMs);
      break;
    }
    case "deliver":
      if (world.log.length > 0) world.deliver(worker, it.picks.map((pick) => must(world.log[pick % world.log.length], "a change"))); // prettier-ignore
      break;
    case "repair":
      if (it.from !== it.at) world.repair(worker, must(world.workers[it.from], "a worker"));
      break;
    case "crash":
      world.crash(worker, it.keptShare);
  }
  return worker;
}

test(
  `${RUNS} random histories of three workers: one owner an epoch, late writes never show, and whoever made one is told`,
  { timeout: 0 },
  () => {
    const counts = { steps: 0, refused: 0, fenced: 0, doubtful: 0 };
    fc.assert(
      fc.property(fc.array(step, { minLength: 15, maxLength: 60, size: "max" }), (history) => {
        const world = new OwnersWorld(WORKERS, scratch);
        try {
          for (const it of history) {
            const worker = perform(world, it);
            world.check(worker);
            counts.doubtful += worker.store.owners.doubtfulCount();
          }
          world.settle();
          counts.steps += history.length;
          counts.refused += world.refused;
          for (const { told } of world.workers) counts.fenced += told.size;
        } finally {
          world.close();
        }
      }),
      { numRuns: RUNS, endOnFailure: process.env["PATINA_SHRINK"] === "0" },
    );
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(RUNS / 5); // All of it happens.
    process.stdout.write(`owners: ${JSON.stringify(counts)}\n`);
  },
);
