/** Stores of a test on files of its own: in memory where the machine has such a place, so that what is tested is logic. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "@patina/base";
import Database from "better-sqlite3";
import { scrub } from "../check/scrub.js";
import { SqliteStore, type StoreOptions } from "../sqlite-store.js";

/** Files that need not survive anything: tmpfs is ten times faster here, and means the same to SQLite. */
const MEMORY = "/dev/shm";

export class Scratch {
  readonly dir: string;
  #stores = 0;

  constructor(name: string, isOnDisk = false) {
    const home = !isOnDisk && existsSync(MEMORY) ? MEMORY : tmpdir();
    this.dir = mkdtempSync(join(home, `patina-${name}-`));
  }

  /** A path that nothing is at yet. */
  newPath(): string {
    return join(this.dir, `${this.#stores++}.db`);
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const nodeIdOf = (n: number): string => n.toString(16).padStart(32, "0");
export const dbIdOf = (n: number): string => n.toString(16).padStart(16, "d");

export function openStore(
  path: string,
  node: number,
  schemaSql: string,
  more: Partial<StoreOptions> = {},
): SqliteStore {
  return new SqliteStore({
    path,
    cluster: { name: "iad", generation: 1 },
    node: nodeIdOf(node),
    newDbId: () => dbIdOf(node),
    schemaSql,
    ...more,
  });
}

/** What does not add up in the file at `path`, as text; empty when all does. */
export function scrubbed(path: string): string {
  const db = new Database(path);
  try {
    return scrub(db).map((finding) => JSON.stringify(finding)).join("; "); // prettier-ignore
  } finally {
    db.close();
  }
}

/** The nodes of a test, each with a file of its own, numbered from 1. */
export class ScratchNodes {
  readonly #scratch: Scratch;
  #open: { readonly store: SqliteStore; readonly path: string; readonly schemaSql: string }[] = [];

  constructor(name: string) {
    this.#scratch = new Scratch(name);
  }

  open(schemaSql: string): SqliteStore {
    const path = this.#scratch.newPath();
    const store = openStore(path, this.#open.length + 1, schemaSql);
    this.#open.push({ store, path, schemaSql });
    return store;
  }

  /** The same node, closed and opened again: with another schema shipped, if one is given. */
  reopened(store: SqliteStore, schemaSql?: string): SqliteStore {
    const at = this.#open.findIndex((it) => it.store === store);
    const before = must(this.#open[at], "an open store");
    store.close();
    const shipped = schemaSql ?? before.schemaSql;
    const again = openStore(before.path, at + 1, shipped);
    this.#open[at] = { store: again, path: before.path, schemaSql: shipped };
    return again;
  }

  /** A path that nothing is at yet, for what is no node of the test. */
  newPath(): string {
    return this.#scratch.newPath();
  }

  /** After each test. Throws what a scrub finds: no test may leave a row that nobody counted. */
  end(): void {
    const findings = this.#open.map(({ path }) => scrubbed(path)).join("");
    for (const { store } of this.#open) store.close();
    this.#open = [];
    if (findings !== "") throw new Error(`scrub found ${findings}`);
  }

  remove(): void {
    this.#scratch.remove();
  }
}
