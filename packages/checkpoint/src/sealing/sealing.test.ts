/** A sealed store: as any other with its key, unreadable or unforgeable without, and usable while keys are replaced. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asAppError } from "@patina/base";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readManifest } from "../manifest/catalog.js";
import { fetchContent } from "../restoring/fetch-content.js";
import { latestGeneration, openGeneration } from "../manifest/generation.js";
import { chunkKey, generationKey, manifestKey } from "../manifest/keys.js";
import { MemoryObjectStore } from "../memory/memory-object-store.js";
import type { Manifest } from "../manifest/manifest.js";
import type { ObjectStore } from "../object-store.js";
import { openCheckpointStore } from "../open-object-store.js";
import { takeCheckpoint } from "../taking/take.js";
import { OBJECT_STORE_CASES } from "../testing/object-store-suite.js";
import { sampleFacts, writeSampleImage } from "../testing/sample.js";
import { verifyCheckpoint } from "../restoring/verify.js";
import { type KeyRing, newKeyRing, readKeyRing, withNewKey } from "./key-ring.js";
import { SealedObjectStore } from "./sealed-object-store.js";
import { retireOldKeys, rewrapStoreKey } from "./store-key.js";
import { UnsealedObjectStore } from "./unsealed-object-store.js";

const MODES = ["signed", "encrypted"] as const;
const OPENING = { floor: "1", generation: 1, parent: 0, reason: "test", atMs: 1, by: "ann" };
let scratch = "";
let imagePath = "";
let image: Uint8Array = new Uint8Array();
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "patina-sealing-"));
  imagePath = join(scratch, "image");
  image = await writeSampleImage(imagePath, 200_000);
});
afterAll(() => rm(scratch, { recursive: true }));

const sealed = (bucket: ObjectStore, ring: KeyRing): ObjectStore =>
  new SealedObjectStore(bucket, { ring, entropy: randomBytes });

const take = (objects: ObjectStore): Promise<Manifest> =>
  takeCheckpoint({ objects, cluster: "iad", path: imagePath, facts: sampleFacts(), limits: { chunkBytes: 65_536 } });

/** A bucket with a checkpoint and a generation in it. */
async function filled(mode: KeyRing["mode"]) {
  const bucket = new MemoryObjectStore("bucket", Date.now);
  const ring = newKeyRing(mode, randomBytes);
  const objects = sealed(bucket, ring);
  const manifest = await take(objects);
  await openGeneration(objects, "iad", OPENING);
  return { bucket, ring, objects, manifest };
}

async function replace(bucket: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  await bucket.delete(key);
  await bucket.putIfAbsent(key, bytes);
}

for (const mode of MODES) {
  describe(`a store that is ${mode}`, () => {
    for (const { sentence, run } of OBJECT_STORE_CASES) {
      test(sentence, () => run(sealed(new MemoryObjectStore("inner", Date.now), newKeyRing(mode, randomBytes))));
    }

    test("gives a checkpoint back, verified, to whoever has the key", async () => {
      const { bucket, ring, manifest } = await filled(mode);
      const other = sealed(bucket, ring);
      await fetchContent(other, await readManifest(other, "iad", "latest"), join(scratch, `back-${mode}`));
      for (const data of [false, true]) {
        expect((await verifyCheckpoint(other, "iad", manifest.id, { data })).findings).toEqual([]);
      }
      const before = (await bucket.list("")).length;
      await take(other); // Again: everything is there already.
      expect((await bucket.list("")).length).toBe(before);
    });

    test("refuses a planted manifest and generation, moved ones, and ones of another store", async () => {
      const { bucket, ring, objects, manifest } = await filled(mode);
      const foreign = await filled(mode);
      const key = manifestKey("iad", manifest.id);
      const genuine = (await bucket.get(key)) ?? new Uint8Array();
      const plain = new MemoryObjectStore("plain");
      await take(plain);
      const plants = [await plain.get(key), await foreign.bucket.get(key), Buffer.from("{}"), new Uint8Array()];
      for (const planted of plants) {
        await replace(bucket, key, planted ?? new Uint8Array());
        await expect(readManifest(objects, "iad", manifest.id)).rejects.toMatchObject({
          code: "checkpoint-forged",
          details: { object: key },
        });
      }
      await replace(bucket, key, genuine);
      await bucket.putIfAbsent(generationKey("iad", 2), (await bucket.get(generationKey("iad", 1))) ?? genuine);
      await expect(latestGeneration(sealed(bucket, ring), "iad")).rejects.toMatchObject({ code: "checkpoint-forged" });
    });

    test("shows one flipped bit in any object, wherever it is", async () => {
      const { bucket, ring } = await filled(mode);
      for (const { key } of await bucket.list("v1/")) {
        const genuine = (await bucket.get(key)) ?? new Uint8Array();
        for (const at of [0, 20, genuine.length >> 1, genuine.length - 1]) {
          await replace(bucket, key, genuine.with(at, (genuine[at] ?? 0) ^ 1));
          const store = sealed(bucket, ring);
          const report = await verifyCheckpoint(store, "iad", "latest", { data: true });
          const generation = await latestGeneration(store, "iad").catch((error: unknown) => asAppError(error).code);
          const seen = [...report.findings.map(({ object }) => object), generation === "checkpoint-forged" ? key : ""];
          expect(seen, `${key} at ${at}`).toContain(key);
        }
        await replace(bucket, key, genuine);
      }
    });

    test("says before any download that a key is wrong, or that it takes one", async () => {
      const { bucket, ring } = await filled(mode);
      const gets: string[] = [];
      const spied: ObjectStore = Object.assign(Object.create(bucket) as ObjectStore, {
        url: bucket.url,
        list: (prefix: string) => bucket.list(prefix),
        get: (key: string) => (gets.push(key), bucket.get(key)),
      });
      const other = newKeyRing(mode, randomBytes);
      const disguised = { ...other, keys: [{ id: ring.keys[0]?.id ?? "", key: other.keys[0]?.key ?? "" }] };
      for (const wrong of [other, disguised, { ...ring, names: other.names }]) {
        await expect(readManifest(sealed(spied, wrong), "iad", "latest")).rejects.toMatchObject({
          code: "sealing-key-wrong",
        });
      }
      await expect(readManifest(new UnsealedObjectStore(spied), "iad", "latest")).rejects.toMatchObject({
        code: "sealing-key-missing",
      });
      expect(new Set(gets)).toEqual(new Set(["sealing/0000000001.json"]));
    });

    test("is not taken for the other mode, nor a plain one for it", async () => {
      const { bucket, ring } = await filled(mode);
      const otherMode = mode === "signed" ? "encrypted" : "signed";
      const plain = new MemoryObjectStore("plain");
      await take(plain);
      for (const store of [sealed(bucket, { ...ring, mode: otherMode }), sealed(plain, ring)]) {
        await expect(readManifest(store, "iad", "latest")).rejects.toMatchObject({ code: "sealing-mismatch" });
      }
    });

    test("is read with the old key and the new while it is rotated, and with the new one alone after", async () => {
      const { bucket, ring, objects, manifest } = await filled(mode);
      const both = withNewKey(ring, randomBytes);
      await rewrapStoreKey(bucket, both, randomBytes);
      await rewrapStoreKey(bucket, both, randomBytes); // A second time changes nothing.
      expect((await bucket.list("sealing/")).length).toBe(2);
      const alone = { ...both, keys: both.keys.slice(0, 1) };
      for (const reader of [objects, sealed(bucket, ring), sealed(bucket, both), sealed(bucket, alone)]) {
        expect((await verifyCheckpoint(reader, "iad", manifest.id, { data: true })).findings).toEqual([]);
      }
      await retireOldKeys(bucket);
      expect((await readManifest(sealed(bucket, alone), "iad", "latest")).id).toBe(manifest.id);
      await expect(readManifest(sealed(bucket, ring), "iad", "latest")).rejects.toMatchObject({
        code: "sealing-key-wrong",
      });
    });
  });
}

test("an encrypted store tells neither content nor hashes", async () => {
  const { bucket, manifest } = await filled("encrypted");
  const hashes = manifest.content.chunks.map(({ id }) => id);
  for (const { key } of await bucket.list("")) {
    const bytes = Buffer.from((await bucket.get(key)) ?? []);
    for (const word of ["machines", 'iad"', "takenAtMs", Buffer.from(image.subarray(0, 16))]) {
      expect(bytes.includes(word), key).toBe(false);
    }
    expect(hashes.filter((hash) => key.includes(hash))).toEqual([]);
  }
});

test("a signed store keeps data under its own hash, as it is", async () => {
  const { bucket, manifest } = await filled("signed");
  const plain = new MemoryObjectStore("plain");
  await take(plain);
  const key = chunkKey("iad", manifest.content.chunks[0]?.id ?? "");
  expect(await bucket.get(key)).toEqual(await plain.get(key));
});

test("of many that first write into a store, all have one key", async () => {
  const bucket = new MemoryObjectStore("bucket");
  const ring = newKeyRing("encrypted", randomBytes);
  const writers = Array.from({ length: 10 }, () => sealed(bucket, ring));
  await Promise.all(writers.map((store, i) => store.putIfAbsent(`a/${i}`, Buffer.from("x"))));
  for (const [i] of writers.entries()) expect(await sealed(bucket, ring).get(`a/${i}`)).toBeDefined();
});

test("a key file is read as it was written; what is none is refused without a word of it", async () => {
  const ring = newKeyRing("encrypted", randomBytes);
  const path = join(scratch, "key.json");
  await writeFile(path, JSON.stringify(ring));
  expect(await readKeyRing(path)).toEqual(ring);
  const secret = ring.keys[0]?.key ?? "";
  for (const text of [
    `{"key": "${secret}"`,
    JSON.stringify({ ...ring, keys: [{ id: "x", key: `${secret}0` }] }),
    "[]",
  ]) {
    await writeFile(path, text);
    const attempt = openCheckpointStore("memory:any", { keyFile: path, entropy: randomBytes });
    await expect(attempt).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.not.stringContaining(secret),
    });
  }
});
