/** Taking, listing and verifying checkpoints, over a store that loses nothing and one whose objects are damaged. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { condemn, spentMarks } from "./collection/condemn.js";
import { listCheckpoints, readChain, readManifest } from "./manifest/catalog.js";
import { latestGeneration, openGeneration } from "./manifest/generation.js";
import { chunkKey, manifestKey } from "./manifest/keys.js";
import { type Manifest, manifestBytes, manifestHoldings } from "./manifest/manifest.js";
import { MemoryObjectStore } from "./memory/memory-object-store.js";
import type { Progress } from "./progress.js";
import { takeCheckpoint } from "./taking/take.js";
import { fetchContent } from "./restoring/fetch-content.js";
import { sampleFacts, writeSampleImage } from "./testing/sample.js";
import { verifyCheckpoint } from "./restoring/verify.js";

const LIMITS = { chunkBytes: 64 * 1024, concurrency: 4 };
let scratch = "";
let imagePath = "";
let objects = new MemoryObjectStore();

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "patina-checkpoint-"));
  imagePath = join(scratch, "image.db");
  await writeSampleImage(imagePath, 1_000_000);
});
afterAll(() => rm(scratch, { recursive: true }));
beforeEach(() => void (objects = new MemoryObjectStore()));

const take = (facts = sampleFacts()): Promise<Manifest> =>
  takeCheckpoint({ objects, cluster: "iad", path: imagePath, facts, limits: LIMITS });

describe("taking a checkpoint", () => {
  test("publishes a manifest whose id says when it was taken, and which reads back equal", async () => {
    const manifest = await take();
    expect(manifest.id).toMatch(/^g000001-20261122T201345\.123Z-base-[0-9a-f]{16}$/);
    expect(manifest.content.chunks).toHaveLength(16);
    expect(await readManifest(objects, "iad", "latest")).toEqual(manifest);
    expect(await readManifest(objects, "iad", manifest.id)).toEqual(manifest);
    expect(manifestHoldings(manifest)).toEqual(sampleFacts().holdings);
    expect(BigInt(manifest.hlc)).toBe(sampleFacts().hlc);
  });

  test("an image that did not change is not stored again", async () => {
    await take();
    const before = (await objects.list("v1/iad/img/")).length;
    await take(sampleFacts({ takenAtMs: sampleFacts().takenAtMs + 60_000 }));
    expect(await objects.list("v1/iad/img/")).toHaveLength(before);
    expect(await listCheckpoints(objects, "iad")).toHaveLength(2);
  });

  test("taken twice at once, by two takers that agree, is one checkpoint", async () => {
    const [one, two] = await Promise.all([take(), take()]);
    expect(one).toEqual(two);
    expect(await listCheckpoints(objects, "iad")).toHaveLength(1);
  });

  test("replaces a chunk that an earlier taker left cut short", async () => {
    const manifest = await take();
    await damage(manifest, 3, (bytes) => bytes.subarray(0, 10));
    await take(sampleFacts({ takenAtMs: sampleFacts().takenAtMs + 60_000 }));
    expect((await verifyCheckpoint(objects, "iad", manifest.id, { data: true })).findings).toEqual([]);
  });

  test("a damaged chunk that is marked is written anew, and brings older checkpoints back as well", async () => {
    const at = (n: number) => sampleFacts({ takenAtMs: sampleFacts().takenAtMs + n * 60_000 });
    const manifest = await take();
    const key = await damage(manifest, 3, (bytes) => Buffer.from(bytes).fill(7, 100, 200));
    const trusting = await take(at(1)); // Its size is right.
    const found = await verifyCheckpoint(objects, "iad", trusting.id, { data: true });
    expect(found).toMatchObject({ findings: [{ object: key, problem: "damaged" }], spared: [] });
    for (let time = 0; time < 2; time++) await condemn(objects, "iad", found.findings);
    expect(await objects.list("v1/iad/damaged/")).toHaveLength(1);
    const wary = await take(at(2));
    expect(wary.content.chunks.map(({ copy }) => copy)).toEqual(wary.content.chunks.map((_, n) => (n === 3 ? 1 : undefined))); // prettier-ignore
    expect(await verifyCheckpoint(objects, "iad", wary.id, { data: true })).toMatchObject({ findings: [], spared: [] });
    for (const { id } of [manifest, trusting]) {
      const report = await verifyCheckpoint(objects, "iad", id, { data: true });
      expect(report).toMatchObject({ findings: [], spared: [{ object: key, problem: "damaged" }] });
    }
    await fetchContent(objects, manifest, join(scratch, "back"));
    expect((await readFile(join(scratch, "back"))).equals(await readFile(imagePath))).toBe(true);
    await objects.delete(key);
    expect((await verifyCheckpoint(objects, "iad", manifest.id, { data: false })).findings).toEqual([]);
    expect(await spentMarks(objects, "iad")).toEqual([expect.stringContaining("/damaged/")]);
  });

  test("what is damaged and is no chunk, or is missing, is not marked", async () => {
    const manifest = await take();
    const missing = { object: chunkKey("iad", "ab".repeat(32)), problem: "missing", expected: "", got: "" } as const;
    const record = { object: manifestKey("iad", manifest.id), problem: "damaged", expected: "", got: "" } as const;
    await condemn(objects, "iad", [missing, record]);
    expect(await objects.list("v1/iad/damaged/")).toEqual([]);
  });

  test("an empty image and one smaller than a chunk are checkpoints too", async () => {
    for (const size of [0, 1, LIMITS.chunkBytes]) {
      const path = join(scratch, `image-${size}`);
      await writeSampleImage(path, size);
      const facts = sampleFacts({ takenAtMs: size });
      const manifest = await takeCheckpoint({ objects, cluster: "iad", path, facts, limits: LIMITS });
      expect(manifest.content.chunks).toHaveLength(size === 0 ? 0 : 1);
    }
  });

  test("tells its progress, and publishes last", async () => {
    const seen: Progress[] = [];
    await takeCheckpoint({
      objects,
      cluster: "iad",
      path: imagePath,
      facts: sampleFacts(),
      limits: LIMITS,
      onProgress: (progress) => seen.push(progress),
    });
    expect(seen.map(({ phase }) => phase)).toEqual([...Array<string>(16).fill("upload"), "publish", "done"]);
    expect(seen.at(-1)).toEqual({ phase: "done", done: 1_000_000, total: 1_000_000 });
  });

  test("a store that alters what it acknowledged is not believed", async () => {
    const put = objects.putIfAbsent.bind(objects);
    objects.putIfAbsent = (key, bytes) => put(key, key.includes("/m/") ? bytes.subarray(1) : bytes);
    await expect(take()).rejects.toMatchObject({ code: "object-store" });
  });

  test("facts that no manifest can hold are refused", async () => {
    await expect(take(sampleFacts({ digest: "not hex" }))).rejects.toMatchObject({ code: "bad-request" });
    await expect(take(sampleFacts({ takenAtMs: 0.5 }))).rejects.toMatchObject({ code: "bad-request" });
  });
});

describe("the catalog", () => {
  test("lists by time and answers an unknown checkpoint with those that exist", async () => {
    const start = sampleFacts().takenAtMs;
    const late = await take(sampleFacts({ takenAtMs: start + 3_600_000 }));
    const early = await take();
    expect((await listCheckpoints(objects, "iad")).map(({ id, takenAtMs }) => [id, takenAtMs])).toEqual([
      [early.id, start],
      [late.id, start + 3_600_000],
    ]);
    expect((await readManifest(objects, "iad", "latest")).id).toBe(late.id);
    for (const id of ["20200101T000000.000Z-0123456789abcdef", "yesterday", "../../etc/passwd"]) {
      const unknown = readManifest(objects, "iad", id);
      await expect(unknown).rejects.toMatchObject({ code: "checkpoint-unknown" });
      await expect(unknown).rejects.toThrow(new RegExp(`${late.id}, ${early.id}`));
    }
    await expect(readManifest(objects, "fra", "latest")).rejects.toThrow(/there is none/);
  });

  test("refuses a manifest with any byte changed, and names it", async () => {
    const { id } = await take();
    const key = manifestKey("iad", id);
    const whole = (await objects.get(key)) ?? new Uint8Array();
    const step = Math.ceil(whole.length / 60);
    for (let at = 0; at < whole.length; at += step) {
      const flipped = whole.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      await replace(key, flipped);
      await expect(readManifest(objects, "iad", id)).rejects.toMatchObject({
        code: "checkpoint-damaged",
        details: { object: key },
      });
    }
    await replace(key, whole.subarray(0, whole.length - 1));
    await expect(readManifest(objects, "iad", "latest")).rejects.toMatchObject({ code: "checkpoint-damaged" });
  });

  test("a manifest under another cluster's name or another id is refused", async () => {
    const manifest = await take();
    await objects.putIfAbsent(manifestKey("fra", manifest.id), manifestBytes(manifest));
    await expect(readManifest(objects, "fra", manifest.id)).rejects.toThrow(/expected cluster fra, got iad/);
    const other = manifest.id.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"));
    await objects.putIfAbsent(manifestKey("iad", other), manifestBytes(manifest));
    await expect(readManifest(objects, "iad", other)).rejects.toMatchObject({ code: "checkpoint-damaged" });
  });
});

describe("verifying", () => {
  test("finds nothing in a whole checkpoint", async () => {
    const manifest = await take();
    for (const data of [false, true]) {
      const report = await verifyCheckpoint(objects, "iad", "latest", { data });
      expect(report).toEqual({ chain: [manifest], objects: 17, findings: [], spared: [] });
    }
  });

  test("names each object that is gone, cut short or altered, with what was expected", async () => {
    const manifest = await take();
    const keys = [1, 2, 3].map((index) => chunkKey("iad", manifest.content.chunks[index]?.id ?? ""));
    await objects.delete(keys[0] ?? "");
    await damage(manifest, 2, (bytes) => bytes.subarray(0, 100));
    await damage(manifest, 3, (bytes) => bytes.with(50, (bytes[50] ?? 0) ^ 1));
    const sizes = await verifyCheckpoint(objects, "iad", manifest.id, { data: false });
    expect(sizes.findings.map(({ object }) => object)).toEqual(keys.slice(0, 2).sort());
    const data = await verifyCheckpoint(objects, "iad", manifest.id, { data: true });
    expect(data.findings.map(({ object }) => object)).toEqual([...keys].sort());
    expect(data.findings.find(({ object }) => object === keys[0])).toMatchObject({
      problem: "missing",
      got: "nothing",
    });
    expect(data.findings.find(({ object }) => object === keys[1])).toMatchObject({ got: "100 bytes" });
  });

  test("reports a damaged manifest as a finding, and an unknown one as an error", async () => {
    const { id } = await take();
    await replace(manifestKey("iad", id), Buffer.from("{}"));
    const { findings } = await verifyCheckpoint(objects, "iad", id, { data: false });
    expect(findings).toMatchObject([{ object: manifestKey("iad", id), problem: "damaged" }]);
    await expect(verifyCheckpoint(objects, "fra", "latest", { data: false })).rejects.toThrow(/there is none/);
  });
});

describe("generations", () => {
  const opening = {
    floor: "115792089237316195",
    generation: 2,
    parent: 1,
    reason: "rollback",
    manifestId: "some-id",
    atMs: 1_700_000_000_000,
  };

  test("of two operators opening one, one does, and the other learns what was opened", async () => {
    expect(await latestGeneration(objects, "iad")).toBeUndefined();
    const opened = await Promise.allSettled(
      ["ann", "bob"].map((by) => openGeneration(objects, "iad", { ...opening, by })),
    );
    expect(opened.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const winner = await latestGeneration(objects, "iad");
    const loser = winner?.by === "ann" ? "bob" : "ann";
    await expect(openGeneration(objects, "iad", { ...opening, by: loser })).rejects.toMatchObject({
      code: "checkpoint-conflict",
      message: expect.stringContaining(`opened by ${winner?.by} at 2023-11-14T22:13:20.000Z from some-id (rollback)`),
    });
  });

  test("opening the same one again, after a lost acknowledgement, is no conflict", async () => {
    const first = await openGeneration(objects, "iad", { ...opening, by: "ann" });
    expect(await openGeneration(objects, "iad", { ...opening, by: "ann" })).toEqual(first);
  });

  test("the latest is the highest number, and a generation follows its parent", async () => {
    for (const generation of [2, 10, 9]) await openGeneration(objects, "iad", { ...opening, generation, by: "ann" });
    expect((await latestGeneration(objects, "iad"))?.generation).toBe(10);
    const backwards = openGeneration(objects, "iad", { ...opening, parent: 2, by: "ann" });
    await expect(backwards).rejects.toMatchObject({ code: "bad-request" });
  });
});

async function damage(manifest: Manifest, index: number, change: (bytes: Uint8Array) => Uint8Array): Promise<string> {
  const key = chunkKey(manifest.cluster, manifest.content.chunks[index]?.id ?? "");
  await replace(key, change((await objects.get(key)) ?? new Uint8Array()));
  return key;
}

async function replace(key: string, bytes: Uint8Array): Promise<void> {
  await objects.delete(key);
  await objects.putIfAbsent(key, bytes);
}

describe("deltas", () => {
  const MINUTE = 60_000;
  const at = (minutes: number): number => sampleFacts().takenAtMs + minutes * MINUTE;
  const delta = (parent: Manifest, minutes: number, level: "d0" | "d1" = "d0"): Promise<Manifest> =>
    take(sampleFacts({ level, parent: parent.id, takenAtMs: at(minutes) }));

  test("are restored after their base and those between, and sort after them", async () => {
    const base = await take();
    const first = await delta(base, 1);
    const second = await delta(first, 2);
    const longer = await delta(base, 3, "d1");
    expect(await readChain(objects, "iad", second.id)).toEqual([base, first, second]);
    expect(await readChain(objects, "iad", "latest")).toEqual([base, longer]);
    expect((await listCheckpoints(objects, "iad")).map(({ id, level }) => [id, level])).toEqual([
      [base.id, "base"],
      [first.id, "d0"],
      [second.id, "d0"],
      [longer.id, "d1"],
    ]);
  });

  test("a time means the newest checkpoint that is not after it", async () => {
    const base = await take();
    const first = await delta(base, 1);
    await delta(first, 2);
    const named = new Date(at(2) - 1).toISOString();
    expect((await readManifest(objects, "iad", named)).id).toBe(first.id);
    const before = new Date(at(-1)).toISOString();
    await expect(readManifest(objects, "iad", before)).rejects.toMatchObject({ code: "checkpoint-unknown" });
  });

  test("a time without its zone is refused, and one with an offset is understood", async () => {
    const base = await take();
    const local = new Date(at(0)).toISOString().replace("Z", "");
    await expect(readManifest(objects, "iad", local)).rejects.toMatchObject({ code: "bad-request" });
    const later = new Date(at(0) + 2 * 3_600_000).toISOString().replace("Z", "+02:00");
    expect((await readManifest(objects, "iad", later)).id).toBe(base.id);
  });

  test("the latest is none that a wrong clock dated ahead, unless there is no other", async () => {
    const clocked = new MemoryObjectStore("clocked", () => at(10));
    const taken = (n: number): Promise<Manifest> =>
      takeCheckpoint({ objects: clocked, cluster: "iad", path: imagePath, facts: sampleFacts({ takenAtMs: at(n) }), limits: LIMITS }); // prettier-ignore
    const ahead = await taken(100_000);
    expect((await readManifest(clocked, "iad", "latest")).id).toBe(ahead.id);
    const right = await taken(9);
    expect((await readManifest(clocked, "iad", "latest")).id).toBe(right.id);
  });

  test("a later generation is newer than anything a member of an earlier one takes afterwards", async () => {
    const newer = await take(sampleFacts({ generation: 2 }));
    await take(sampleFacts({ takenAtMs: at(60) }));
    expect((await readManifest(objects, "iad", "latest")).id).toBe(newer.id);
  });

  test("a parent that is gone, or is not earlier, is damage", async () => {
    const base = await take();
    const first = await delta(base, 1);
    await objects.delete(manifestKey("iad", base.id));
    await expect(readChain(objects, "iad", first.id)).rejects.toMatchObject({ code: "checkpoint-damaged" });
    const { findings } = await verifyCheckpoint(objects, "iad", first.id, { data: false });
    expect(findings).toMatchObject([{ object: manifestKey("iad", base.id), problem: "missing" }]);
    const orphan = await take(sampleFacts({ level: "d0", parent: "nothing", takenAtMs: at(3) }));
    await expect(readChain(objects, "iad", orphan.id)).rejects.toMatchObject({ code: "checkpoint-damaged" });
  });
});
