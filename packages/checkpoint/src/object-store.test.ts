/** Every object store passes one suite; what only a file system can do wrong is tested beside it. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examineStore } from "./doctor/examine-store.js";
import { FileObjectStore } from "./file/file-object-store.js";
import { MemoryObjectStore } from "./memory/memory-object-store.js";
import type { ObjectStore } from "./object-store.js";
import { openObjectStore } from "./open-object-store.js";
import { OBJECT_STORE_CASES } from "./testing/object-store-suite.js";

let scratch = "";
beforeAll(async () => void (scratch = await mkdtemp(join(tmpdir(), "patina-objects-"))));
afterAll(() => rm(scratch, { recursive: true }));

const stores = [
  { name: "file", open: async () => new FileObjectStore(await mkdtemp(join(scratch, "store-"))) },
  { name: "file, in a directory that does not exist yet", open: async () => new FileObjectStore(await absent()) },
  { name: "memory", open: async () => new MemoryObjectStore("timed", Date.now) },
];

async function absent(): Promise<string> {
  return join(await mkdtemp(join(scratch, "parent-")), "deep", "store");
}

for (const { name, open } of stores) {
  describe(`an object store: ${name}`, () => {
    for (const { sentence, run } of OBJECT_STORE_CASES) test(sentence, async () => run(await open()));
  });
}

describe("an object store, examined", () => {
  const options = { wallMs: Date.now, nonce: "0123" };

  test("is good for everything, and is left as it was", async () => {
    const store = new FileObjectStore(await mkdtemp(join(scratch, "examined-")));
    const { level, probes } = await examineStore(store, options);
    expect(level).toBe("create-only");
    expect(probes.filter(({ verdict }) => verdict !== "good")).toEqual([]);
    expect(await store.list("")).toEqual([]);
  });

  test("is unusable when it forgets, alters, or lets two create", async () => {
    const faults: readonly ((store: MemoryObjectStore) => Partial<ObjectStore>)[] = [
      () => ({ list: async () => [] }),
      () => ({ get: async () => Buffer.from("other") }),
      () => ({ putIfAbsent: async () => "created" }),
      () => ({ delete: async () => undefined }),
      () => ({ now: async () => Date.now() - 3_600_000 }),
    ];
    for (const fault of faults) {
      const store = new MemoryObjectStore("faulty", Date.now);
      expect((await examineStore(Object.assign(store, fault(store)), options)).level).toBe("unusable");
    }
  });
});

describe("objects as files", () => {
  test("what a killed writer left is no object, and does not stop the next", async () => {
    const root = await mkdtemp(join(scratch, "killed-"));
    await mkdir(join(root, ".tmp"));
    await writeFile(join(root, ".tmp", `${process.pid}-0`), "half an obj");
    const store = new FileObjectStore(root);
    expect(await store.putIfAbsent("a/b", Buffer.from("whole"))).toBe("created");
    expect(await store.list("")).toMatchObject([{ key: "a/b", bytes: 5 }]);
    expect(await readdir(join(root, ".tmp"))).toEqual([`${process.pid}-0`]);
  });

  test("a writer killed at a random moment leaves whole objects or none", { timeout: 120_000 }, async () => {
    const root = await mkdtemp(join(scratch, "torture-"));
    const store = new FileObjectStore(root);
    for (const delayMs of [0, 3, 7, 12, 20]) {
      await killedWriter(root, delayMs);
      const found = await store.list("");
      expect(found.filter(({ bytes }) => bytes !== 2 ** 20)).toEqual([]);
    }
    expect((await store.list("")).length).toBeGreaterThan(0);
  });

  test("a store that cannot be written says which object, where and why", async () => {
    const root = join(scratch, "not-a-directory");
    await writeFile(root, "");
    await expect(new FileObjectStore(root).putIfAbsent("a/b", Buffer.from("x"))).rejects.toMatchObject({
      code: "object-store",
      message: expect.stringMatching(/cannot write a\/b in file:.*not-a-directory/),
    });
  });
});

describe("an object store's URL", () => {
  test("names a directory or a memory", async () => {
    expect(openObjectStore(`file://${scratch}/by-url`)).toBeInstanceOf(FileObjectStore);
    expect(openObjectStore("file:///var/lib/a%20b").url).toBe("file:///var/lib/a%20b");
    await openObjectStore("memory:shared").putIfAbsent("a", Buffer.from("x"));
    expect(await openObjectStore("memory:shared").head("a")).toMatchObject({ bytes: 1 });
    expect(await openObjectStore("memory:other").head("a")).toBeUndefined();
  });

  test.each(["/var/lib/checkpoints", "file://host/dir", "file:relative", "memory:", ""])(
    "that is not supported is refused with what is: %s",
    (url) => {
      expect(() => openObjectStore(url)).toThrowError(
        expect.objectContaining({ code: "object-store", hint: expect.stringMatching(/file:\/\/\/.*memory:/) }),
      );
    },
  );
});

/** Writes objects of 1 MiB until it is killed, `delayMs` after its first. */
async function killedWriter(root: string, delayMs: number): Promise<void> {
  const script = `
    const { FileObjectStore } = await import(${JSON.stringify(moduleUrl())});
    const store = new FileObjectStore(${JSON.stringify(root)});
    for (let i = 0; ; i++) {
      await Promise.all([1, 2].map((n) => store.putIfAbsent("o/" + process.pid + "-" + i + "-" + n, Buffer.alloc(2 ** 20, i))));
      if (i === 0) setTimeout(() => process.kill(process.pid, "SIGKILL"), ${delayMs});
    }`;
  const signal = await new Promise((done) => {
    execFile(process.execPath, ["--input-type=module", "-e", script], (error) => done(error?.signal));
  });
  expect(signal).toBe("SIGKILL");
}

/** The built package: a child process runs no TypeScript. */
function moduleUrl(): string {
  return pathToFileURL(join(import.meta.dirname, "../dist/index.js")).href;
}

test("what was abandoned in a file store's `.tmp` goes a day later, and what is being written stays", async () => {
  const root = await mkdtemp(join(scratch, "abandoned-"));
  await mkdir(join(root, ".tmp"));
  const [old, young] = [join(root, ".tmp", "1-0"), join(root, ".tmp", "2-0")];
  for (const path of [old, young]) await writeFile(path, "half");
  const twoDaysAgoS = (await stat(old)).mtimeMs / 1000 - 2 * 86_400;
  await utimes(old, twoDaysAgoS, twoDaysAgoS);
  await new FileObjectStore(root).putIfAbsent("a/b", Buffer.from("whole"));
  expect(await readdir(join(root, ".tmp"))).toEqual(["2-0"]);
});
