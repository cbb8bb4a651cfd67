/**
 * A node's disk, on real files: SQLite writes them and SQLite recovers them. A power loss keeps what was synced and any
 * prefix of what was not, cut at any byte: the write-ahead log is truncated at a random point after the last sync.
 *
 * Each life of the disk is a directory of its own, since a process that has lost its power may still close its files.
 */
import { copyFileSync, existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rng } from "@patina/base";

const DATABASE = "state.db";
const LOG = "state.db-wal";

export class Disk {
  readonly #home: string;
  readonly #blank: Uint8Array | undefined;
  #life = 0;
  #syncedBytes = 0;
  /** The boot number written before the first packet of each process. */
  #boot = 0;
  #copy: { readonly dir: string; readonly boot: number } | undefined;
  #copies = 0;

  /** `blank`: a database with nothing in it, to begin with; without it, the first process makes its own. */
  constructor(home: string, blank?: Uint8Array) {
    this.#home = home;
    this.#blank = blank;
    this.#makeBlank();
  }

  get databasePath(): string {
    return join(this.#dir, DATABASE);
  }

  get boot(): number {
    return this.#boot;
  }

  set boot(boot: number) {
    this.#boot = boot;
  }

  get hasCopy(): boolean {
    return this.#copy !== undefined;
  }

  /** Everything written so far would survive a power loss. */
  markSynced(): void {
    this.#syncedBytes = this.#logBytes();
  }

  /**
   * The machine loses power while the database is open; what is left of the files becomes the disk of the next life.
   * The caller closes the old database afterwards: what that still writes is lost with the old life. True when something
   * that was written is gone.
   */
  losePower(rng: Rng): boolean {
    const before = this.#dir;
    const written = this.#logBytes();
    const kept = this.#syncedBytes + rng.below(Math.max(0, written - this.#syncedBytes) + 1);
    this.#begin(before);
    if (written === 0) return false;
    truncateSync(join(this.#dir, LOG), kept);
    this.#syncedBytes = kept;
    return kept < written;
  }

  /** Puts a copy of the files aside, as they are. */
  keepCopy(): void {
    const dir = join(this.#home, `copy-${this.#copies++}`);
    copyFiles(this.#dir, dir);
    this.#copy = { dir, boot: this.#boot };
  }

  /** Puts the copy back. Nothing may have the database open. */
  restoreCopy(): void {
    if (this.#copy === undefined) return;
    this.#begin(this.#copy.dir);
    this.#boot = this.#copy.boot;
  }

  /** Becomes a copy of another machine's disk. */
  cloneFrom(other: Disk): void {
    this.#begin(other.#dir);
    this.#boot = other.#boot;
  }

  /** The database is not to be used any more: the next life begins without one. */
  abandon(): void {
    this.#life++;
    this.#syncedBytes = 0;
    this.#makeBlank();
  }

  /** Forgets the lives before this one. */
  discardOldLives(): void {
    for (let life = 0; life < this.#life; life++) {
      rmSync(join(this.#home, String(life)), { recursive: true, force: true });
    }
  }

  #makeBlank(): void {
    mkdirSync(this.#dir, { recursive: true });
    if (this.#blank !== undefined) writeFileSync(this.databasePath, this.#blank);
  }

  /** A new life, with the files of a directory. */
  #begin(files: string): void {
    this.#life++;
    copyFiles(files, this.#dir);
    this.#syncedBytes = this.#logBytes();
  }

  get #dir(): string {
    return join(this.#home, String(this.#life));
  }

  #logBytes(): number {
    return statSync(join(this.#dir, LOG), { throwIfNoEntry: false })?.size ?? 0;
  }
}

function copyFiles(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of [DATABASE, LOG]) {
    if (existsSync(join(from, name))) copyFileSync(join(from, name), join(to, name));
  }
}
