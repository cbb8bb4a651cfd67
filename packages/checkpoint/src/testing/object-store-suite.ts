/** What every object store must do, whatever it stands on. Each case gets an empty store and throws when it fails. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { ObjectStore } from "../object-store.js";

export interface ObjectStoreCase {
  readonly sentence: string;
  readonly run: (store: ObjectStore) => Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
const text = (found: Uint8Array | undefined): string | undefined =>
  found === undefined ? undefined : Buffer.from(found).toString("utf8");

export const OBJECT_STORE_CASES: readonly ObjectStoreCase[] = [
  {
    sentence: "what was put is what is got, empty objects too",
    run: async (store) => {
      equal(await store.putIfAbsent("v1/iad/m/a.json", bytes("hello")), "created");
      equal(await store.putIfAbsent("v1/iad/m/empty", bytes("")), "created");
      equal(text(await store.get("v1/iad/m/a.json")), "hello");
      equal((await store.head("v1/iad/m/a.json"))?.bytes, 5);
      equal(text(await store.get("v1/iad/m/empty")), "");
      equal((await store.head("v1/iad/m/empty"))?.bytes, 0);
    },
  },
  {
    sentence: "what was never put is absent, and so is a folder",
    run: async (store) => {
      await store.putIfAbsent("v1/iad/m/a", bytes("a"));
      for (const key of ["v1/iad/m/b", "v1/iad/m", "v1/iad/m/a/b"]) {
        equal(await store.get(key), undefined);
        equal(await store.head(key), undefined);
      }
    },
  },
  {
    sentence: "a second put leaves the first as it is",
    run: async (store) => {
      await store.putIfAbsent("a/b", bytes("first"));
      equal(await store.putIfAbsent("a/b", bytes("second, and longer")), "exists");
      equal(text(await store.get("a/b")), "first");
    },
  },
  {
    sentence: "of 20 concurrent puts exactly one creates, and its bytes are what all see",
    run: async (store) => {
      const writers = Array.from({ length: 20 }, (_, i) => `writer ${i} `.repeat(10_000));
      const answers = await Promise.all(writers.map((content) => store.putIfAbsent("race/one", bytes(content))));
      const winners = writers.filter((_, i) => answers[i] === "created");
      equal(winners.length, 1);
      equal(text(await store.get("race/one")), winners[0]);
    },
  },
  {
    sentence: "a list holds all objects under a prefix with their sizes, sorted by key",
    run: async (store) => {
      for (const key of ["b/2", "b/10", "b/1/x", "bb/1", "a", "b.json"]) await store.putIfAbsent(key, bytes(key));
      const keys = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key);
      deepEqual(await keys(""), ["a", "b.json", "b/1/x", "b/10", "b/2", "bb/1"]);
      deepEqual(await keys("b/"), ["b/1/x", "b/10", "b/2"]);
      deepEqual(await keys("b/1"), ["b/1/x", "b/10"]);
      deepEqual(await keys("none/"), []);
      const [listed, ...others] = await store.list("bb/");
      deepEqual([listed?.key, listed?.bytes, others], ["bb/1", 4, []]);
    },
  },
  {
    sentence: "a deleted object is absent, can be created again, and may be deleted twice",
    run: async (store) => {
      await store.putIfAbsent("a/b", bytes("first"));
      await store.delete("a/b");
      await store.delete("a/b");
      equal(await store.get("a/b"), undefined);
      deepEqual(await store.list(""), []);
      equal(await store.putIfAbsent("a/b", bytes("second")), "created");
    },
  },
  {
    sentence: "what a caller does with its buffers afterwards changes no object",
    run: async (store) => {
      const mine = bytes("hello");
      await store.putIfAbsent("a", mine);
      mine.fill(0);
      const got = await store.get("a");
      ok(got !== undefined);
      got.fill(0);
      equal(text(await store.get("a")), "hello");
    },
  },
  {
    sentence: "an object is of the store's own time, which does not go back, and a list and a look-up agree on it",
    run: async (store) => {
      const before = await store.now();
      await store.putIfAbsent("a", bytes("x"));
      const after = await store.now();
      const found = await store.head("a");
      ok(found !== undefined && Number.isInteger(found.modifiedAtMs));
      // To the second, because a store may know no more; file systems stamp with the clock of the last tick.
      const toSecond = (ms: number): number => Math.floor(ms / 1000);
      ok(toSecond(before) <= toSecond(found.modifiedAtMs + 20), `${before} is after ${found.modifiedAtMs}`);
      ok(toSecond(found.modifiedAtMs) <= toSecond(after), `${found.modifiedAtMs} is after ${after}`);
      deepEqual(await store.list(""), [{ key: "a", ...found }]);
    },
  },
  {
    sentence: "a content's name is 64 hex digits, always the same, and different for different content",
    run: async (store) => {
      const names = ["a", "b"].map((digit) => store.contentName(digit.repeat(64)));
      ok(names.every((name) => /^[0-9a-f]{64}$/.test(name)));
      equal(new Set(names).size, 2);
      equal(store.contentName("a".repeat(64)), names[0]);
    },
  },
  {
    sentence: "a key that could mean another place is refused",
    run: async (store) => {
      for (const key of [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".tmp/a",
        "a b",
        "a\\b",
        "-a",
        "é",
        "x".repeat(513),
      ]) {
        await rejects(store.putIfAbsent(key, bytes("x")), { code: "object-store" });
        await rejects(store.get(key), { code: "object-store" });
        await rejects(store.delete(key), { code: "object-store" });
      }
      deepEqual(await store.list(""), []);
    },
  },
];
