/** Stores of a test on files of its own: in memory where the machine has such a place, so that what is tested is logic. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
