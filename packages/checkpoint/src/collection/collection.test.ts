/**
 * Collection against a taker, a restore and a kill, at every step of each: whatever happens when, no manifest is without its
 * objects, and what nobody needs is gone after two more rounds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@patina/base";
import { afterAll, describe, expect, test, vi } from "vitest";
import { listCheckpoints, readChain } from "../manifest/catalog.js";
import {
  chunkKey,
  chunkPrefix,
  claimPrefix,
  damagedPrefix,
  manifestKey,
  pinPrefix,
  trashPrefix,
} from "../manifest/keys.js";
import type { Manifest } from "../manifest/manifest.js";
import { MemoryObjectStore } from "../memory/memory-object-store.js";
import type { ObjectStore } from "../object-store.js";
import { recordProof } from "../proof/proof.js";
import { claimPeriod } from "../schedule/claim.js";
import { takeCheckpoint } from "../taking/take.js";
import { sampleFacts, writeSampleImage } from "../testing/sample.js";
import { verifyCheckpoint } from "../restoring/verify.js";
import { condemn } from "./condemn.js";
import { GRACE_MS, PIN_FOR_MS, TRASH_FOR_MS, UPLOAD_MS_MAX } from "./grace.js";
import { whilePinned } from "./pin.js";
import { prune, type PruneReport } from "./prune.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);
const dir = mkdtempSync(join(tmpdir(), "patina-collection-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Images of two chunks: of one seed they are equal, and so are their objects. */
const IMAGE_BYTES = 20_000;
const imagePath = async (seed: number): Promise<string> => {
  const path = join(dir, `image-${seed}`);
  await writeSampleImage(path, IMAGE_BYTES, seed);
  return path;
};

/** A bucket with a clock, whose requests can be counted and stopped at. */
class World {
  nowMs = START;
  readonly bucket = new MemoryObjectStore("world", () => this.nowMs);
  runs = 0;

  /** The bucket as one process sees it: `before` is told the number of each request before it is made. */
  seenBy(before: (n: number, request: string) => void | Promise<void>): ObjectStore {
    let n = 0;
    const { bucket } = this;
    const told = (request: string): void | Promise<void> => before(++n, request);
    return {
      url: bucket.url,
      contentName: (sha256) => bucket.contentName(sha256),
      putIfAbsent: async (key, bytes) => (await told(`put ${key}`), bucket.putIfAbsent(key, bytes)),
      get: async (key) => (await told(`get ${key}`), bucket.get(key)),
      head: async (key) => (await told(`head ${key}`), bucket.head(key)),
      list: async (prefix) => (await told(`list ${prefix}`), bucket.list(prefix)),
      delete: async (key) => (await told(`delete ${key}`), bucket.delete(key)),
      now: async () => (await told("now"), bucket.now()),
    };
  }

  async take(seed: number, objects: ObjectStore = this.bucket): Promise<Manifest> {
    const facts = sampleFacts({ takenAtMs: this.nowMs });
    const limits = { chunkBytes: 16_384, concurrency: 1 };
    return takeCheckpoint({ objects, cluster: "iad", path: await imagePath(seed), facts, limits });
  }

  async verifiedBase(seed: number): Promise<Manifest> {
    const { id, cluster } = await this.take(seed);
    const proof = { base: id, checkpoint: id, atMs: this.nowMs, by: "n", tookMs: 1, bytes: 1, rows: 1, sampled: 0 };
    await recordProof(this.bucket, { fmt: 1, cluster, ...proof });
    return this.manifest(id);
  }

  async manifest(id: string): Promise<Manifest> {
    return (await readChain(this.bucket, "iad", id)).at(-1) as Manifest;
  }

  async prune(
    objects: ObjectStore = this.bucket,
    changes: { force?: boolean; isDryRun?: boolean; noted?: readonly string[] } = {},
  ): Promise<PruneReport> {
    const by = `run${++this.runs}`;
    return prune({ objects, cluster: "iad", policy: "short", noted: [], by, isDryRun: false, force: true, ...changes });
  }

  /** One base that goes (seed 1) and eight newer, verified ones. */
  static async withOld(): Promise<{ world: World; old: Manifest }> {
    const world = new World();
    const old = await world.verifiedBase(1);
    for (let day = 1; day <= 8; day++) {
      world.nowMs = START + day * DAY;
      await world.verifiedBase(100 + day);
    }
    world.nowMs += HOUR;
    return { world, old };
  }
}

async function expectWhole(world: World): Promise<void> {
  for (const { id } of await listCheckpoints(world.bucket, "iad")) {
    expect((await verifyCheckpoint(world.bucket, "iad", id, { data: true })).findings, id).toEqual([]);
  }
}

/** Rounds a day apart. */
async function expectCleanAfter(world: World, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    world.nowMs += DAY;
    await world.prune();
    await expectWhole(world);
  }
  const chunks = new Set<string>();
  for (const { id } of await listCheckpoints(world.bucket, "iad")) {
    for (const { id: name, copy } of (await world.manifest(id)).content.chunks)
      chunks.add(copy === undefined ? name : `${name}.${copy}`);
  }
  const there = (await world.bucket.list(chunkPrefix("iad"))).map(({ key }) => key.split("/").at(-1));
  expect(new Set(there)).toEqual(chunks);
}

test("what retention lets go is deleted a day after it was marked, and not before", async () => {
  const { world, old } = await World.withOld();
  expect((await world.prune(undefined, { isDryRun: true })).go.map(({ id }) => id)).toContain(old.id);
  expect(await world.bucket.list(trashPrefix("iad"))).toEqual([]);
  expect((await world.prune()).marked.manifests).toBe(4);
  world.nowMs += GRACE_MS - 1;
  expect((await world.prune()).swept.manifests).toBe(0);
  expect(await world.bucket.head(manifestKey("iad", old.id))).toBeDefined();
  world.nowMs += 1;
  expect((await world.prune()).swept).toMatchObject({ manifests: 4, objects: 8 });
  expect(await world.bucket.head(manifestKey("iad", old.id))).toBeUndefined();
  await expectCleanAfter(world, 2);
});

test("nothing is deleted over an objection, and what a person forced stays decided", async () => {
  const { world, old } = await World.withOld();
  const noted = [old.id.replace(/.$/, (last) => (last === "0" ? "1" : "0"))]; // A base that the store does not list.
  await expect(world.prune(undefined, { force: false, noted })).rejects.toMatchObject({ code: "retention-refused" });
  expect(await world.bucket.list(trashPrefix("iad"))).toEqual([]);
  await world.prune(undefined, { noted });
  world.nowMs += DAY;
  expect((await world.prune(undefined, { force: false })).swept.manifests).toBe(4);
});

test("bases that were left for many days go a quarter a day, until no more than the policy's are left", async () => {
  const { world } = await World.withOld();
  const marked: number[] = [];
  for (let day = 0; day < 5; day++) {
    marked.push((await world.prune(undefined, { force: false })).marked.manifests);
    await expectWhole(world);
    world.nowMs += DAY;
  }
  expect(marked).toEqual([2, 2, 0, 0, 0]);
  expect(await listCheckpoints(world.bucket, "iad")).toHaveLength(5);
});

test("a mark of damage stays while its object is there, and goes after it", async () => {
  const { world, old } = await World.withOld();
  const object = chunkKey("iad", String(old.content.chunks[0]?.id));
  await condemn(world.bucket, "iad", [{ object, problem: "damaged", expected: "it whole", got: "rubbish" }]);
  await world.prune();
  expect(await world.bucket.list(damagedPrefix("iad"))).toHaveLength(1);
  for (let round = 0; round < 2; round++) {
    world.nowMs += DAY;
    await world.prune();
  }
  expect(await world.bucket.head(object)).toBeUndefined();
  expect(await world.bucket.list(damagedPrefix("iad"))).toEqual([]);
});

test("claims, pins and lists whose time is over go as well", async () => {
  const { world } = await World.withOld();
  const claim = { work: "base", period: 1, generation: 1, by: "a", ttlMs: 1 } as const;
  expect(await claimPeriod(world.bucket, "iad", claim)).toBe(true);
  await world.prune();
  world.nowMs += TRASH_FOR_MS + 1;
  await world.prune();
  expect(await world.bucket.list(claimPrefix("iad"))).toEqual([]);
  const lists = await world.bucket.list(trashPrefix("iad"));
  expect(lists.map(({ modifiedAtMs }) => modifiedAtMs)).toEqual([world.nowMs]); // What was never swept is marked anew.
});

describe("a taker of what is being collected", () => {
  /** It takes an image that is equal to the old base's, so that it finds every chunk there. */
  test("publishes a whole checkpoint, whenever a mark and a sweep come between its requests", async () => {
    const requests: string[] = [];
    const first = await World.withOld();
    await first.world.take(1, first.world.seenBy((_, request) => void requests.push(request))); // prettier-ignore
    expect(requests.length).toBeGreaterThan(6);
    for (let markAt = 0; markAt <= requests.length + 1; markAt++) {
      for (let sweepAt = markAt; sweepAt <= requests.length + 1; sweepAt++) {
        const { world } = await World.withOld();
        if (markAt === 0) await world.prune();
        const at = async (n: number): Promise<void> => {
          if (n === markAt) await world.prune();
          if (n !== sweepAt) return;
          world.nowMs += GRACE_MS;
          await world.prune();
        };
        const taken = await world.take(1, world.seenBy(at)).catch((thrown: unknown) => thrown);
        if (taken instanceof Error) expect(taken).toMatchObject({ code: "object-store-timeout" });
        await expectWhole(world);
        await expectCleanAfter(world, 3);
      }
    }
  }, 60_000);

  test("is met by a sweep at each of the sweep's requests", async () => {
    const requests: string[] = [];
    const first = await World.withOld();
    await first.world.prune();
    first.world.nowMs += GRACE_MS;
    await first.world.prune(first.world.seenBy((_, request) => void requests.push(request)));
    for (const phase of ["mark", "sweep"]) {
      for (let at = 1; at <= requests.length; at++) {
        const { world } = await World.withOld();
        let taken = 0;
        const take = async (n: number): Promise<void> => {
          if (n !== at || taken++ > 0) return;
          world.nowMs += 1;
          await world.take(1);
        };
        await world.prune(phase === "mark" ? world.seenBy(take) : world.bucket);
        world.nowMs += GRACE_MS;
        await world.prune(phase === "sweep" ? world.seenBy(take) : world.bucket);
        await expectWhole(world);
        await expectCleanAfter(world, 3);
      }
    }
  }, 60_000);

  test("gives up when it has taken half the grace", async () => {
    const { world } = await World.withOld();
    const slow = world.seenBy((_, request) => void (request.startsWith("head") ? (world.nowMs += UPLOAD_MS_MAX) : 0));
    await expect(world.take(1, slow)).rejects.toMatchObject({ code: "object-store-timeout" });
  });

  test("that stood still after it had published says so, also where it may delete nothing", async () => {
    const { world } = await World.withOld();
    const refusing = world.seenBy((_, request) => {
      if (request.startsWith("get v1/iad/m/")) world.nowMs += UPLOAD_MS_MAX;
      if (request.startsWith("delete")) throw new AppError("object-store-access-denied", "may not delete");
    });
    const late = world.take(99, refusing);
    await expect(late).rejects.toMatchObject({ code: "object-store-timeout", message: expect.stringContaining("may not delete") }); // prettier-ignore
  });
});

test("a run that is killed at any request leaves whole checkpoints, and nothing for long", async () => {
  for (const phase of ["mark", "sweep"]) {
    for (let at = 1; ; at++) {
      const { world } = await World.withOld();
      let isReached = false;
      const kill = (n: number): void => {
        if (n >= at) throw ((isReached = true), new Error("killed"));
      };
      if (phase === "sweep") {
        await world.prune();
        world.nowMs += GRACE_MS;
      }
      await world.prune(world.seenBy(kill)).catch((thrown: unknown) => thrown);
      if (!isReached) break;
      await expectWhole(world);
      await expectCleanAfter(world, 2);
    }
  }
}, 60_000);

test("a taker that is killed at any request leaves nothing for long", async () => {
  for (let at = 1; at < 12; at++) {
    const { world } = await World.withOld();
    const kill = (n: number): void => {
      if (n >= at) throw new Error("killed");
    };
    await world.take(50, world.seenBy(kill)).catch((thrown: unknown) => thrown);
    world.nowMs += DAY;
    await world.prune();
    await expectCleanAfter(world, 2);
  }
});

test("a sweep that was frozen for long gives up", async () => {
  const { world } = await World.withOld();
  await world.prune();
  world.nowMs += GRACE_MS;
  const frozen = world.seenBy((n, request) => void (request.startsWith("list v1/iad/epochs/") ? (world.nowMs += 13 * HOUR) : n)); // prettier-ignore
  await expect(world.prune(frozen)).rejects.toMatchObject({ code: "object-store-timeout" });
});

describe("a restore under way", () => {
  test("keeps its checkpoint for as long as it takes", async () => {
    const { world, old } = await World.withOld();
    await world.prune();
    world.nowMs += GRACE_MS - PIN_FOR_MS - 1;
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    await whilePinned(world.bucket, "iad", old.id, async () => {
      world.nowMs += PIN_FOR_MS + 1; // The sweep is due, and the first pin is over.
      await vi.advanceTimersByTimeAsync(PIN_FOR_MS / 3);
      expect((await world.prune()).swept.manifests).toBe(3);
      await expectWhole(world);
      expect(await world.bucket.head(manifestKey("iad", old.id))).toBeDefined();
    });
    vi.useRealTimers();
    expect((await world.prune()).swept.manifests).toBe(1);
    expect(await world.bucket.list(pinPrefix("iad"))).toEqual([]);
  });

  test("does not begin with what may be in deletion", async () => {
    const { world, old } = await World.withOld();
    await world.prune();
    world.nowMs += GRACE_MS;
    const restored = whilePinned(world.bucket, "iad", old.id, async () => "restored");
    await expect(restored).rejects.toMatchObject({ code: "checkpoint-unknown" });
  });

  test("goes on where nothing can be written", async () => {
    const { world, old } = await World.withOld();
    const readOnly = world.seenBy((_, request) => {
      if (request.startsWith("put")) throw new AppError("object-store-access-denied", "no");
    });
    expect(await whilePinned(readOnly, "iad", old.id, async () => "restored")).toBe("restored");
  });
});
