/**
 * Whether the file may be written: not after it failed, since what it holds is known again only once it has been opened
 * anew, and not while its write-ahead log is too long.
 */
import { statSync } from "node:fs";
import { AppError } from "@patina/base";
import { transactionError } from "./sqlite-error.js";

export class WriteGuard {
  readonly #walPath: string;
  readonly #walBytesMax: number;
  #failure: AppError | undefined;

  constructor(path: string, walBytesMax: number) {
    this.#walPath = `${path}-wal`;
    this.#walBytesMax = walBytesMax;
  }

  /** Throws `store-busy` when trying again may help, and `store-failed` for good. */
  write<T>(work: () => T): T {
    if (this.#failure !== undefined) throw this.#failure;
    this.#checkWal();
    return this.read(work);
  }

  /** Work that may find the file failed without writing to it. */
  read<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      const error = transactionError(thrown);
      if (error.code === "store-failed") this.#failure ??= error;
      throw error;
    }
  }

  /** A reader that never ends keeps the log from being cut; without a limit it would fill the disk. */
  #checkWal(): void {
    const bytes = statSync(this.#walPath, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= this.#walBytesMax) return;
    const message = `the write-ahead log has ${bytes} bytes; at most ${this.#walBytesMax} are allowed`;
    throw new AppError("store-busy", message, {
      hint: "Some process reads the database without end: find it with `fuser` and stop it. Writes go on by themselves.",
    });
  }
}
