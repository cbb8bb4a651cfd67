/**
 * kill -9 while a checkpoint is taken, at fifty points: before and after each request to the store, and in between. Whatever
 * was published is whole, and the next taker needs no repair.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Rng } from "@patina/base";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listCheckpoints, readManifest } from "./catalog.js";
import { FileObjectStore } from "./file/file-object-store.js";
import { takeCheckpoint } from "./take.js";
import { sampleFacts, writeSampleImage } from "./testing/sample.js";
import { verifyCheckpoint } from "./verify.js";

const IMAGE_BYTES = 600_000;
const CHUNK_BYTES = 64 * 1024;
const KILLS = 50;
const AT_ONCE = 2;
const built = (file: string): string => pathToFileURL(join(import.meta.dirname, "../dist", file)).href;

let home = "";
beforeAll(async () => void (home = await mkdtemp(join(tmpdir(), "patina-kill-"))));
afterAll(() => rm(home, { recursive: true }));

interface Kill {
  /** The request at which it dies, counted from 0. */
  readonly at: number;
  readonly moment: "before" | "during" | "after";
}

/** A taker that dies as told; whether it got to the end all the same. */
async function take(seed: number, { at, moment }: Kill, takenAtMs: number): Promise<boolean> {
  const script = `
    const { FileObjectStore, takeCheckpoint } = await import(${JSON.stringify(built("index.js"))});
    const { sampleFacts } = await import(${JSON.stringify(built("testing/sample.js"))});
    const inner = new FileObjectStore(${JSON.stringify(join(home, "objects"))});
    let requests = 0;
    const die = () => process.kill(process.pid, "SIGKILL");
    const objects = new Proxy(inner, { get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== "function" || name === "contentName") return typeof value === "function" ? value.bind(target) : value;
      return async (...args) => {
        const mine = requests++;
        if (mine === ${at} && "${moment}" === "before") die();
        const asked = value.apply(target, args);
        if (mine === ${at} && "${moment}" === "during") setImmediate(die);
        const answer = await asked;
        if (mine === ${at} && "${moment}" === "after") die();
        return answer;
      };
    }});
    await takeCheckpoint({ objects, cluster: "iad", path: ${JSON.stringify(join(home, `image-${seed}`))},
      facts: sampleFacts({ takenAtMs: ${takenAtMs} }), limits: { chunkBytes: ${CHUNK_BYTES}, concurrency: 3 } });`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ["--input-type=module", "-e", script], (error, _stdout, stderr) => {
      if (error === null) resolve(true);
      else if (error.signal === "SIGKILL") resolve(false);
      else reject(new Error(stderr));
    });
  });
}

test("what is published is whole, whenever its taker died", { timeout: 300_000 }, async () => {
  const rng = new Rng(11);
  const objects = new FileObjectStore(join(home, "objects"));
  const images = [1, 2, 3];
  for (const seed of images) await writeSampleImage(join(home, `image-${seed}`), IMAGE_BYTES, seed);
  const kills = Array.from({ length: KILLS }, (_, i): Kill => {
    return { at: i % 25, moment: (["before", "during", "after"] as const)[rng.below(3)] ?? "before" };
  });
  let ended = 0;
  const startMs = sampleFacts().takenAtMs;
  const lane = async (first: number): Promise<void> => {
    for (let i = first; i < KILLS; i += AT_ONCE) {
      const kill = kills[i];
      if (kill !== undefined && (await take(images[i % images.length] ?? 1, kill, startMs + i * 1000))) ended++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => lane(i)));

  const published = await listCheckpoints(objects, "iad");
  for (const { id } of published) {
    expect((await verifyCheckpoint(objects, "iad", id, { data: true })).findings).toEqual([]);
  }
  expect(published.length).toBeGreaterThanOrEqual(ended);
  expect(KILLS - ended).toBeGreaterThan(KILLS / 3);

  const facts = sampleFacts({ takenAtMs: startMs + KILLS * 1000 });
  const path = join(home, "image-1");
  const next = await takeCheckpoint({ objects, cluster: "iad", path, facts, limits: { chunkBytes: CHUNK_BYTES } });
  expect(await readManifest(objects, "iad", "latest")).toEqual(next);
  expect((await verifyCheckpoint(objects, "iad", next.id, { data: true })).findings).toEqual([]);
});
