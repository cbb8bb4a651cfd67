/**
 * A node's disk, on real files: SQLite writes them and SQLite recovers them. A power loss keeps what was synced and any
 * prefix of what was not, cut at any byte: the write-ahead log is truncated at a random point after the last sync.
 */
import { copyFileSync, mkdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { Rng } from "@patina/base";

export class Disk {
  readonly #home: string;
  #life = 0;
  #syncedBytes = 0;

  constructor(home: string) {
    this.#home = home;
    mkdirSync(this.#dir, { recursive: true });
  }

  get databasePath(): string {
    return join(this.#dir, "state.db");
  }

  /** Everything written so far would survive a power loss. */
  markSynced(): void {
    this.#syncedBytes = this.#walBytes();
  }

  /**
   * The machine loses power while the database is open; what is left of the files becomes the disk of the next life.
   * The caller closes the old database afterwards: what that still writes is lost with the old life.
   */
  losePower(rng: Rng): void {
    const before = this.#dir;
    const written = this.#walBytes();
    const kept = this.#syncedBytes + rng.below(written - this.#syncedBytes + 1);
    this.#life++;
    mkdirSync(this.#dir, { recursive: true });
    copyFileSync(join(before, "state.db"), join(this.#dir, "state.db"));
    if (written === 0) return;
    copyFileSync(join(before, "state.db-wal"), this.#walPath);
    truncateSync(this.#walPath, kept);
    this.#syncedBytes = kept;
  }

  /** Forgets the lives before this one. */
  discardOldLives(): void {
    for (let life = 0; life < this.#life; life++)
      rmSync(join(this.#home, String(life)), { recursive: true, force: true });
  }

  get #dir(): string {
    return join(this.#home, String(this.#life));
  }

  get #walPath(): string {
    return join(this.#dir, "state.db-wal");
  }

  #walBytes(): number {
    return statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0;
  }
}
