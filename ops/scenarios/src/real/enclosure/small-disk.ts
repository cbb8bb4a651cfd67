/** A file system of a few megabytes, to be filled to the last byte. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.js";

const PIECE = Buffer.alloc(64 << 10);
const SMALLEST_BYTES = 512;

export class SmallDisk {
  readonly #ballast: string;

  /** Mounts it at a directory, which it makes. Only within an enclosure. */
  constructor(dir: string, megabytes: number) {
    mkdirSync(dir, { recursive: true });
    run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "none", dir]);
    this.#ballast = join(dir, "ballast");
  }

  /** Takes all that is left. */
  fill(): void {
    const file = openSync(this.#ballast, "w");
    for (let bytes = PIECE.length; bytes >= SMALLEST_BYTES;) {
      try {
        writeSync(file, PIECE, 0, bytes);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
        bytes /= 2;
      }
    }
    closeSync(file);
  }

  /** Gives it back. */
  clear(): void {
    rmSync(this.#ballast);
  }
}
