/** An image and the deltas after it make the very state they were taken of, whatever happened between them. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { type Holdings, holdingsHash, must, Ranges, Rng, type Write } from "@patina/base";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { adoptImage } from "../adopt-image.js";
import { takeDelta } from "../database/delta.js";
import { takeImage } from "../database/image.js";
import type { SqliteStore } from "../sqlite-store.js";
import { openStore, Scratch, scrubbed } from "../testing/scratch-store.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, v TEXT NOT NULL DEFAULT '');";
const WALL_MS = 1_790_000_000_000;
const scratch = new Scratch("delta");
afterAll(() => scratch.remove());

const put = (id: string, v: string): Write => ({ kind: "rows", rows: [{ table: "t", values: { id, v } }] });
const remove = (id: string): Write => ({ kind: "statements", statements: [{ sql: "DELETE FROM t WHERE id = ?", params: [id] }] }); // prettier-ignore

function write(store: SqliteStore, writes: readonly Write[], wallMs = WALL_MS): void {
  for (const outcome of store.commit(writes, wallMs)) if (!outcome.ok) throw outcome.error;
}

/** Everything that `from` holds and `to` does not. */
function catchUp(from: SqliteStore, to: SqliteStore): void {
  for (const [origin, { head }] of from.holdings()) {
    const had = to.holdings().get(origin)?.head ?? 0;
    if (head <= had) continue;
    const { changes, empty } = from.extract(origin, Ranges.of(had + 1, head), Infinity);
    to.apply(changes, [{ origin, versions: empty }], from.basis());
  }
}

function taken(store: SqliteStore, path: string, since: Holdings) {
  store.makeDurable();
  const deltaPath = scratch.newPath();
  const delta = takeDelta(path, since, deltaPath);
  return { deltaPath, delta };
}

describe("deltas", () => {
  test("a base and its deltas, taken at any moments, make the state of the last", () => {
    const history = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), id: fc.nat(9), v: fc.string({ maxLength: 4 }), at: fc.nat(1) }) }, // prettier-ignore
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), id: fc.nat(9), at: fc.nat(1) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("sync" as const) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("delta" as const), depth: fc.nat(3) }) },
      ),
      { minLength: 5, maxLength: 40 },
    );
    fc.assert(
      fc.property(history, (steps) => {
        const paths = [scratch.newPath(), scratch.newPath()] as const;
        const stores = [openStore(paths[0], 1, SCHEMA), openStore(paths[1], 2, SCHEMA)] as const;
        write(stores[0], [put("first", "x")]);
        const image = scratch.newPath();
        const base = takeImage(paths[0], image);
        // A chain that grows: a delta may skip back over the ones before it, as a longer level does.
        const chain: { path: string; digest: string }[] = [];
        const points: Holdings[] = [stores[0].holdings()];
        for (const step of [...steps, { kind: "sync" as const }, { kind: "delta" as const, depth: 0 }]) {
          if (step.kind === "put") write(stores[step.at as 0 | 1], [put(`k${step.id}`, step.v)]);
          if (step.kind === "delete") write(stores[step.at as 0 | 1], [remove(`k${step.id}`)]);
          if (step.kind === "sync") catchUp(stores[0], stores[1]);
          if (step.kind === "sync") catchUp(stores[1], stores[0]);
          if (step.kind !== "delta") continue;
          const keep = Math.max(0, chain.length - step.depth);
          const { deltaPath, delta } = taken(stores[0], paths[0], must(points[keep], "a point"));
          if (delta.kind !== "delta") throw new Error(delta.kind);
          chain.length = keep;
          points.length = keep + 1;
          chain.push({ path: deltaPath, digest: delta.facts.digest });
          points.push(stores[0].holdings());
        }
        adoptImage(image, { cluster: "iad", digest: base.digest, deltas: chain, generation: 1 });
        const restored = openStore(image, 3, SCHEMA);
        expect(restored.digest()).toBe(stores[0].digest());
        expect(holdingsHash(restored.holdings())).toBe(holdingsHash(stores[0].holdings()));
        expect(restored.read("SELECT id, v FROM t ORDER BY id")).toEqual(stores[0].read("SELECT id, v FROM t ORDER BY id")); // prettier-ignore
        for (const store of [...stores, restored]) store.close();
        expect(scrubbed(image)).toBe("");
      }),
      { numRuns: 60 },
    );
  });

  test("it refuses to be taken since a state that is ahead, or whose deletions are forgotten, or too much after it", () => {
    const [path, otherPath] = [scratch.newPath(), scratch.newPath()];
    const [store, other] = [openStore(path, 1, SCHEMA), openStore(otherPath, 2, SCHEMA)];
    write(other, [put("theirs", "x")]);
    expect(taken(store, path, other.holdings()).delta.kind).toBe("behind");

    write(store, [put("a", "1"), put("b", "2")]);
    const before = store.holdings();
    write(store, [remove("a")], WALL_MS + 1);
    expect(taken(store, path, before).delta).toMatchObject({ kind: "delta", changes: 1 });
    store.noteStable(new Map([[store.origin, 3]]), store.highWater() + 1n);
    while (store.maintain(100));
    expect(taken(store, path, before).delta.kind).toBe("collected");
    expect(taken(store, path, store.holdings()).delta).toMatchObject({ kind: "delta", changes: 0 });

    write(
      store,
      Array.from({ length: 10 }, (_, i) => put(`k${i}`, "x")),
    );
    store.makeDurable();
    expect(takeDelta(path, before, scratch.newPath(), { changesMax: 9 }).kind).toBe("collected");
    const since = new Map([[store.origin, { head: 3, gaps: Ranges.empty }]]);
    expect(takeDelta(path, since, scratch.newPath(), { changesMax: 9 }).kind).toBe("too-long");
    for (const open of [store, other]) open.close();
  });

  test("a damaged delta is refused, whichever byte it is", () => {
    const path = scratch.newPath();
    const store = openStore(path, 1, SCHEMA);
    write(store, [put("a", "1")]);
    const image = scratch.newPath();
    const base = takeImage(path, image);
    const since = store.holdings();
    write(store, [put("b", "some value"), put("a", "other")]);
    const { deltaPath, delta } = taken(store, path, since);
    if (delta.kind !== "delta") throw new Error(delta.kind);
    store.close();
    const sound = readFileSync(deltaPath);
    const rng = new Rng(7);
    for (let round = 0; round < 60; round++) {
      const at = rng.below(sound.length);
      const broken = Buffer.from(sound);
      broken.writeUInt8(broken.readUInt8(at) ^ (1 << rng.below(8)), at);
      writeFileSync(deltaPath, round % 6 === 0 ? sound.subarray(0, at) : broken);
      const copy = scratch.newPath();
      copyFileSync(image, copy);
      const adopt = { cluster: "iad", digest: base.digest, generation: 1 };
      const attempt = (): void =>
        adoptImage(copy, { ...adopt, deltas: [{ path: deltaPath, digest: delta.facts.digest }] });
      // What changes no meaning, a stamp's padding for one, may pass: the digest decides.
      try {
        attempt();
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: "checkpoint-damaged" });
        continue;
      }
      const restored = openStore(copy, 3, SCHEMA);
      expect(restored.digest()).toBe(delta.facts.digest);
      restored.close();
    }
  });
});
