/** Every store that an agent may run on passes one suite: the model, the real one, and the real one as machines lose it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Change, type EmptyVersions, type Heads, must, type OriginId, type Ranges, Rng, type Write } from "@patina/base"; // prettier-ignore
import type { StorePort } from "@patina/agent";
import { ModelStore, STORE_CASES, type StoreSubject } from "@patina/agent/testing";
import { SqliteStore } from "@patina/store";
import { afterEach, describe, test } from "vitest";
import { Disk } from "./disk.js";

const SCHEMA = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL DEFAULT '');";
const dirs: string[] = [];
const opened = new Set<SqliteStore>();

afterEach(() => {
  for (const store of opened) store.close();
  opened.clear();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "patina-suite-"));
  dirs.push(dir);
  return dir;
}

function openFile(path: string, n: number): SqliteStore {
  const node = n.toString(16).padStart(32, "0");
  const store = new SqliteStore({
    path,
    cluster: { name: "iad", generation: 1 },
    node,
    newDbId: () => "0".repeat(16),
    schemaSql: SCHEMA,
    walAutocheckpointPages: 0,
  });
  opened.add(store);
  return store;
}

function shut(store: SqliteStore): void {
  store.close();
  opened.delete(store);
}

const rowsOf = (store: SqliteStore): string[] =>
  store.read("SELECT id, value FROM t ORDER BY id").map(([id, value]) => `${String(id)}=${String(value)}`);

const model: StoreSubject = {
  open: (n) => Object.assign(new ModelStore(n), { isStrict: false }),
  reopen: (store) => store, // It has no process, and its memory is its disk.
  rows: (store) => [...(store as ModelStore).rows].map(([key, { text }]) => `${key}=${text}`).sort(),
};

/** On a file, whose path and node are remembered by the store's origin. */
function onFiles(): StoreSubject {
  const homes = new Map<StorePort, { path: string; n: number }>();
  const open = (path: string, n: number): SqliteStore => {
    const store = openFile(path, n);
    homes.set(store, { path, n });
    return store;
  };
  return {
    open: (n) => open(join(newDir(), "state.db"), n),
    reopen: (store) => {
      const { path, n } = must(homes.get(store), "a store of this subject");
      shut(store as SqliteStore);
      return open(path, n);
    },
    rows: (store) => rowsOf(store as SqliteStore),
  };
}

/** On the simulator's disk: a restart is a power loss after everything was synced. */
function onDisks(): StoreSubject {
  const homes = new Map<StorePort, { disk: Disk; n: number }>();
  const open = (disk: Disk, n: number): SqliteStore => {
    const store = openFile(disk.databasePath, n);
    homes.set(store, { disk, n });
    return store;
  };
  return {
    open: (n) => open(new Disk(newDir()), n),
    reopen: (store) => {
      const { disk, n } = must(homes.get(store), "a store of this subject");
      disk.markSynced();
      disk.losePower(new Rng(1));
      shut(store as SqliteStore);
      return open(disk, n);
    },
    rows: (store) => rowsOf(store as SqliteStore),
  };
}

/** A store that is closed and opened again before every single call. */
class Restless implements StorePort {
  readonly #files = onFiles();
  #store: StorePort;

  constructor(n: number) {
    this.#store = this.#files.open(n);
  }

  get fresh(): SqliteStore {
    this.#store = this.#files.reopen(this.#store);
    return this.#store as SqliteStore;
  }

  get origin(): OriginId {
    return this.fresh.origin;
  }

  get cluster(): StorePort["cluster"] {
    return this.fresh.cluster;
  }

  commit(writes: readonly Write[], wallMs: number): ReturnType<StorePort["commit"]> {
    return this.fresh.commit(writes, wallMs);
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ReturnType<StorePort["apply"]> {
    return this.fresh.apply(changes, empties, owed);
  }

  basis(): Heads {
    return this.fresh.basis();
  }

  holdings(): ReturnType<StorePort["holdings"]> {
    return this.fresh.holdings();
  }

  highWater(): bigint {
    return this.fresh.highWater();
  }

  extract(origin: OriginId, wanted: Ranges, bytesMax: number): ReturnType<StorePort["extract"]> {
    return this.fresh.extract(origin, wanted, bytesMax);
  }

  snapshot(after: Uint8Array | undefined, bytesMax: number): ReturnType<StorePort["snapshot"]> {
    return this.fresh.snapshot(after, bytesMax);
  }

  join(changes: readonly Change[], owed: Heads): ReturnType<StorePort["join"]> {
    return this.fresh.join(changes, owed);
  }

  quarantinedIn(origin: OriginId): Ranges {
    return this.fresh.quarantinedIn(origin);
  }

  comparableDigest(): string | undefined {
    return this.fresh.comparableDigest();
  }

  get isWhole(): boolean {
    return this.fresh.isWhole;
  }

  get debts(): StorePort["debts"] {
    return this.fresh.debts;
  }

  get members(): StorePort["members"] {
    return this.fresh.members;
  }

  get isDurable(): boolean {
    return this.fresh.isDurable;
  }

  makeDurable(): void {
    this.fresh.makeDurable();
  }

  noteStable(heads: Heads, before: bigint): void {
    this.fresh.noteStable(heads, before);
  }
}

const restless: StoreSubject = {
  open: (n) => new Restless(n),
  reopen: (store) => store,
  rows: (store) => rowsOf((store as Restless).fresh),
};

const SUBJECTS: readonly (readonly [string, () => StoreSubject])[] = [
  ["the model", () => model],
  ["SQLite on a file", onFiles],
  ["SQLite, opened again before every call", () => restless],
  ["SQLite on a simulated disk that loses power", onDisks],
];

for (const [name, subject] of SUBJECTS) {
  describe(`a store: ${name}`, () => {
    for (const { sentence, run } of STORE_CASES) test(sentence, () => run(subject()));
  });
}
