/** Restoring: what comes back is what was taken, or nothing has changed, wherever it was damaged, refused or killed. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AppError } from "@patina/base";
import { readManifest } from "../manifest/catalog.js";
import { fetchContent } from "./fetch-content.js";
import { FileObjectStore } from "../file/file-object-store.js";
import { chunkKey } from "../manifest/keys.js";
import type { Manifest } from "../manifest/manifest.js";
import { MemoryObjectStore } from "../memory/memory-object-store.js";
import type { ObjectStore } from "../object-store.js";
import { completeRestore, restoreDataDir, type RestoreDataDir, setAside } from "./restore.js";
import { takeCheckpoint } from "../taking/take.js";
import { sampleFacts, writeSampleImage } from "../testing/sample.js";

const LIMITS = { chunkBytes: 64 * 1024, concurrency: 4 };
const IMAGE_BYTES = 200_000;
let scratch = "";
let home = "";
let dataDir = "";
let image: Uint8Array = new Uint8Array();
let objects: ObjectStore = new MemoryObjectStore();
let manifest: Manifest;

beforeAll(async () => void (scratch = await mkdtemp(join(tmpdir(), "patina-restore-"))));
afterAll(() => rm(scratch, { recursive: true }));
beforeEach(async () => {
  home = await mkdtemp(join(scratch, "node-"));
  dataDir = join(home, "data");
  objects = new FileObjectStore(join(home, "objects"));
  image = await writeSampleImage(join(home, "image"), IMAGE_BYTES);
  manifest = await takeFrom(join(home, "image"), LIMITS.chunkBytes);
});

const takeFrom = (imagePath: string, chunkBytes: number): Promise<Manifest> =>
  takeCheckpoint({ objects, cluster: "iad", path: imagePath, facts: sampleFacts(), limits: { ...LIMITS, chunkBytes } });

const restore = (changes: Partial<RestoreDataDir> = {}): ReturnType<typeof restoreDataDir> =>
  restoreDataDir({
    objects,
    chain: [manifest],
    dataDir,
    replace: false,
    quarantineName: "before",
    prepare: () => Promise.resolve(),
    ...changes,
  });

test("20 MiB come back byte for byte", async () => {
  const large = await writeSampleImage(join(home, "large"), 20 * 2 ** 20, 7);
  manifest = await takeFrom(join(home, "large"), 2 ** 20);
  await fetchContent(objects, await readManifest(objects, "iad", manifest.id), join(home, "back"));
  expect(Buffer.compare(await readFile(join(home, "back")), large)).toBe(0);
});

describe("a data directory", () => {
  test("that does not exist is made, prepared, and then nothing is left aside", async () => {
    const prepare = async (path: string): Promise<void> => {
      expect(Buffer.compare(await readFile(path), image)).toBe(0);
      await writeFile(join(path, "..", "node.json"), "{}");
    };
    expect(await restore({ prepare })).toEqual({ quarantine: undefined });
    expect((await readdir(dataDir)).sort()).toEqual(["node.json", "state.db"]);
    expect((await readdir(home)).sort()).toEqual(["data", "image", "objects"]);
  });

  test("that is empty, or holds only a lock, is filled", async () => {
    await mkdir(dataDir);
    await restore();
    expect(await stateOf(dataDir)).toBe("new");
    await rm(dataDir, { recursive: true });
    await writeOld(["lock"]);
    await restore();
    expect(await stateOf(dataDir)).toBe("new");
  });

  test("that holds data is left alone without replace, and nothing is downloaded", async () => {
    await writeOld();
    await expect(restore({ objects: new MemoryObjectStore() })).rejects.toMatchObject({ code: "data-dir-not-empty" });
    expect(await stateOf(dataDir)).toBe("old");
  });

  test("that holds data moves whole to quarantine with replace", async () => {
    await writeOld(["state.db", "state.db-wal", "state.db-shm", "node.json"]);
    expect(await restore({ replace: true })).toEqual({ quarantine: `${dataDir}.before` });
    expect(await readdir(dataDir)).toEqual(["state.db"]);
    expect(await readdir(`${dataDir}.before`)).toHaveLength(4);
    await expect(restore({ replace: true })).rejects.toThrow(/before is taken/);
    expect(await stateOf(dataDir)).toBe("new");
  });

  test("is untouched when the caller's preparation fails", async () => {
    await writeOld();
    const prepare = (): Promise<void> => Promise.reject(new Error("quick_check: not a database"));
    await expect(restore({ replace: true, prepare })).rejects.toThrow(/quick_check/);
    expect(await stateOf(dataDir)).toBe("old");
    expect((await readdir(home)).sort()).toEqual(["data", "image", "objects"]);
  });
});

describe("a damaged checkpoint is refused, named, and changes nothing", () => {
  const random = Buffer.from("not brotli at all, and of the right length or not");
  const damages: readonly { what: string; change: (stored: Uint8Array) => Uint8Array | undefined; got: RegExp }[] = [
    { what: "missing", change: () => undefined, got: /is missing/ },
    { what: "cut short", change: (stored) => stored.subarray(0, stored.length - 1), got: /got \d+ bytes/ },
    { what: "flipped in one bit", change: (stored) => stored.with(99, (stored[99] ?? 0) ^ 4), got: /unpack|sha256/ },
    { what: "something else", change: () => random, got: /got 49 bytes/ },
  ];

  for (const { what, change, got } of damages) test(`a chunk that is ${what}`, () => isRefused(change, got));

  async function isRefused(change: (stored: Uint8Array) => Uint8Array | undefined, got: RegExp): Promise<void> {
    await writeOld();
    const key = await damageChunk(2, change);
    const attempt = restore({ replace: true });
    await expect(attempt).rejects.toMatchObject({ code: "checkpoint-damaged", details: { object: key } });
    await expect(attempt).rejects.toThrow(got);
    expect(await stateOf(dataDir)).toBe("old");
    expect((await readdir(home)).sort()).toEqual(["data", "image", "objects"]);
  }

  test("a chunk that unpacks to more than it should", async () => {
    const bomb = brotliCompressSync(Buffer.alloc(64 * 2 ** 20), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
    const key = await damageChunk(2, () => bomb);
    const chunks = manifest.content.chunks.map((chunk, i) =>
      i === 2 ? { ...chunk, stored: bomb.length, codec: "brotli" as const } : chunk,
    );
    const attempt = restore({ chain: [{ ...manifest, content: { ...manifest.content, chunks } }] });
    await expect(attempt).rejects.toMatchObject({ code: "checkpoint-damaged", details: { object: key } });
  });

  test("chunks that are whole but in the wrong order", async () => {
    const [a, b, ...rest] = manifest.content.chunks;
    if (a === undefined || b === undefined) throw new Error("the sample has several chunks");
    const swapped = { ...manifest, content: { ...manifest.content, chunks: [b, a, ...rest] } };
    await expect(restore({ chain: [swapped] })).rejects.toThrow(/expected content of sha256/);
  });
});

describe("a restore that was cut off", () => {
  test("goes on with what it has fetched, whatever the rest of it says", async () => {
    const gone = chunkKey("iad", manifest.content.chunks[2]?.id ?? "");
    const kept = await objects.get(gone);
    const asked: string[] = [];
    const failing = failingAt(objects, gone, asked);
    await expect(restore({ objects: failing })).rejects.toMatchObject({ code: "object-store" });
    expect(await readdir(home)).not.toContain("data");
    expect(kept).toBeDefined();
    const first = new Set(asked);
    asked.length = 0;
    await restore({ objects: failingAt(objects, undefined, asked) });
    expect(asked.filter((key) => first.has(key) && key !== gone)).toEqual([]);
    expect(asked).toContain(gone);
    expect(await stateOf(dataDir)).toBe("new");
  });
});

describe("a restore killed at any step", () => {
  test("leaves the old state or the new one, and finishes when run again", { timeout: 120_000 }, async () => {
    const states: string[] = [];
    for (let step = 1; ; step++) {
      await rm(dataDir, { recursive: true, force: true });
      await rm(`${dataDir}.before`, { recursive: true, force: true });
      await writeOld();
      const isKilled = await restoreKilledAt(step);
      const completed = await completeRestore(dataDir);
      states.push(await stateOf(dataDir));
      if (!isKilled) break;
      if (completed !== undefined) expect(await stateOf(`${dataDir}.before`)).toBe("old");
      await restore({ replace: true, quarantineName: "again" });
      expect(await stateOf(dataDir)).toBe("new");
      expect((await readdir(home)).filter((name) => name.includes(".restore"))).toEqual([]);
      await rm(`${dataDir}.again`, { recursive: true, force: true });
    }
    // 4 chunks, check, prepare, sync, quarantine: the old; publish, done and the end: the new.
    expect(states).toEqual([...Array<string>(8).fill("old"), "new", "new", "new"]);
  });

  test("is completed when run again, also where there was no data before", async () => {
    await restore();
    await rename(dataDir, `${dataDir}.restored-${manifest.id}`);
    await mkdir(dataDir);
    expect(await restore()).toEqual({ quarantine: undefined });
    expect(await stateOf(dataDir)).toBe("new");
  });

  test("and run again for another end is completed, and done anew", async () => {
    await restore();
    await rename(dataDir, `${dataDir}.restored-${manifest.id}`);
    let prepared = 0;
    const prepare = async (): Promise<void> => void prepared++;
    const { quarantine } = await restore({ replace: true, isDone: () => false, prepare });
    expect([prepared, await stateOf(dataDir), quarantine]).toEqual([1, "new", `${dataDir}.before`]);
  });
});

describe("setting a data directory aside", () => {
  test("leaves what is to be kept, and nothing else", async () => {
    await writeOld(["state.db", "node.json"]);
    expect(await setAside(dataDir, "before", ["node.json", "peers.json"])).toBe(`${dataDir}.before`);
    expect(await readdir(dataDir)).toEqual(["node.json"]);
    expect((await readdir(`${dataDir}.before`)).sort()).toEqual(["node.json", "state.db"]);
    expect((await readdir(home)).filter((name) => name.includes(".anew"))).toEqual([]);
  });

  test("killed between its renames keeps them all the same, and killed before the first changed nothing", async () => {
    await writeOld(["state.db", "node.json"]);
    await mkdir(`${dataDir}.anew`);
    await writeFile(join(`${dataDir}.anew`, "node.json"), "old");
    expect(await completeRestore(dataDir)).toBeUndefined();
    expect((await readdir(dataDir)).sort()).toEqual(["node.json", "state.db"]);
    await rename(dataDir, `${dataDir}.before`);
    await completeRestore(dataDir);
    expect(await readdir(dataDir)).toEqual(["node.json"]);
  });
});

/** Runs the built package in a child that kills itself when it is told of the given step; false if it got to the end. */
async function restoreKilledAt(step: number): Promise<boolean> {
  const module = pathToFileURL(join(import.meta.dirname, "../../dist/index.js")).href;
  const script = `
    const { openObjectStore, readChain, restoreDataDir } = await import(${JSON.stringify(module)});
    const objects = openObjectStore(${JSON.stringify(objects.url)});
    const chain = await readChain(objects, "iad", ${JSON.stringify(manifest.id)});
    let step = 0;
    const onProgress = () => { if (++step === ${step}) process.kill(process.pid, "SIGKILL"); };
    const prepare = async () => {};
    const dataDir = ${JSON.stringify(dataDir)};
    await restoreDataDir({ objects, chain, dataDir, replace: true, prepare, quarantineName: "before", onProgress });`;
  const error = await new Promise<{ signal?: string | null; message: string } | null>((done) => {
    execFile(process.execPath, ["--input-type=module", "-e", script], (failure) => done(failure));
  });
  if (error !== null && error.signal !== "SIGKILL") throw new Error(error.message);
  return error !== null;
}

async function damageChunk(index: number, change: (stored: Uint8Array) => Uint8Array | undefined): Promise<string> {
  const key = chunkKey("iad", manifest.content.chunks[index]?.id ?? "");
  const changed = change((await objects.get(key)) ?? new Uint8Array());
  await objects.delete(key);
  if (changed !== undefined) await objects.putIfAbsent(key, changed);
  return key;
}

async function writeOld(names: readonly string[] = ["state.db"]): Promise<void> {
  await mkdir(dataDir);
  for (const name of names) await writeFile(join(dataDir, name), "old");
}

async function stateOf(directory: string): Promise<string> {
  const found = await readFile(join(directory, "state.db"));
  if (found.equals(Buffer.from("old"))) return "old";
  return Buffer.compare(found, image) === 0 ? "new" : "neither";
}

/** The same store, noting what it is asked for, and out of reach for one key. */
function failingAt(inner: ObjectStore, key: string | undefined, asked: string[]): ObjectStore {
  return new Proxy(inner, {
    get: (target, name): unknown => {
      const own = Reflect.get(target, name, target) as unknown;
      if (name !== "get") return typeof own === "function" ? (own.bind(target) as unknown) : own;
      return async (wanted: string) => {
        if (wanted === key) throw new AppError("object-store", `no answer for ${wanted}`);
        const found = await target.get(wanted);
        asked.push(wanted);
        return found;
      };
    },
  });
}
