/**
 * Objects as files in a directory: the default store, on a local disk or a mount that every member sees.
 *
 * A create-only PUT is: write `.tmp/<pid>-<n>`, fdatasync, link(2) to the name, fsync the directory, unlink the
 * temporary. link fails when the name is taken, which is the precondition; a name therefore only ever appears with
 * its whole content behind it. What a killed process leaves in `.tmp` is no object, is never listed, and goes a day later.
 */
import type { Stats } from "node:fs";
import { type FileHandle, link, open, readdir, readFile, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { AppError, type ErrorCode, messageOf } from "@patina/base";
import { isErrno, makeDirectory, syncPath, unlessAbsent } from "../restoring/durable-file.js";
import { checkKey, checkPrefix, type ObjectFacts, type ObjectStore, type StoredObject } from "../object-store.js";

const TMP = ".tmp";
/** Nothing takes so long to write: whoever began with it is gone. */
const ABANDONED_AFTER_MS = 86_400_000;
const HINTS: Readonly<Record<string, string>> = {
  EACCES: "Let the user this process runs as read and write the directory.",
  ENOSPC: "Free space on the volume.",
  EROFS: "Mount the volume writable.",
  EPERM: "Use a file system with hard links: they are what makes a create atomic.",
  ENOTSUP: "Use a file system with hard links: they are what makes a create atomic.",
};

/** As an S3 server's faults have them, so that a script may tell them apart. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: "object-store-access-denied",
  EROFS: "object-store-access-denied",
  ENOSPC: "object-store-full",
  EDQUOT: "object-store-full",
  EIO: "object-store-unreachable",
  ESTALE: "object-store-unreachable",
  ENOTCONN: "object-store-unreachable",
};

export class FileObjectStore implements ObjectStore {
  readonly url: string;
  readonly #root: string;
  #written = 0;
  #isTidied = false;

  constructor(root: string) {
    this.#root = root;
    this.url = pathToFileURL(root).href;
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    const path = this.#path(key);
    return this.#named("write", key, async () => {
      await makeDirectory(dirname(path));
      const temporary = await this.#writeTemporary(bytes);
      try {
        await this.#tidyOnce(temporary);
        return await linkIfAbsent(temporary, path);
      } finally {
        await unlink(temporary);
      }
    });
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    return this.#named("read", key, () => unlessNoObject(readFile(path)));
  }

  async head(key: string): Promise<ObjectFacts | undefined> {
    const path = this.#path(key);
    return this.#named("look up", key, async () => {
      const found = await unlessAbsent(stat(path));
      return found?.isFile() === true ? factsOf(found) : undefined;
    });
  }

  async list(prefix: string): Promise<StoredObject[]> {
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    return this.#named("list", prefix, async () => {
      const found: StoredObject[] = [];
      for await (const object of this.#walk(folder)) {
        if (object.key.startsWith(prefix)) found.push(object);
      }
      return found.sort((a, b) => (a.key < b.key ? -1 : 1));
    });
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    await this.#named("delete", key, async () => {
      const removed = await unlessAbsent(unlink(path).then(() => true));
      if (removed === true) await syncPath(dirname(path));
    });
  }

  /** The file system's clock, which on a network mount is the server's: when a file that was just made was made. */
  async now(): Promise<number> {
    return this.#named("get the time for", "", async () => {
      const temporary = await this.#writeTemporary(new Uint8Array());
      try {
        return Math.floor((await stat(temporary)).mtimeMs);
      } finally {
        await unlink(temporary);
      }
    });
  }

  contentName(sha256: string): string {
    return sha256;
  }

  /** Every file under a folder. `folder` is empty or ends in a slash. */
  async *#walk(folder: string): AsyncGenerator<StoredObject> {
    const entries = await unlessAbsent(readdir(join(this.#root, folder), { withFileTypes: true }));
    for (const entry of entries ?? []) {
      if (entry.name.startsWith(".")) continue;
      const key = folder + entry.name;
      if (entry.isDirectory()) yield* this.#walk(`${key}/`);
      const found = entry.isFile() ? await unlessAbsent(stat(join(this.#root, key))) : undefined;
      if (found !== undefined) yield { key, ...factsOf(found) };
    }
  }

  /** Names are taken with O_EXCL, because processes in containers share their pids. */
  async #writeTemporary(bytes: Uint8Array): Promise<string> {
    const folder = join(this.#root, TMP);
    await makeDirectory(folder);
    for (;;) {
      const path = join(folder, `${process.pid}-${this.#written++}`);
      const handle = await openNew(path);
      if (handle === undefined) continue;
      try {
        await handle.writeFile(bytes);
        await handle.datasync();
      } catch (error) {
        await unlink(path);
        throw error;
      } finally {
        await handle.close();
      }
      return path;
    }
  }

  /** Removes what was abandoned in `.tmp`, by the age that the file system itself gives it beside the newest one. */
  async #tidyOnce(newest: string): Promise<void> {
    if (this.#isTidied) return;
    this.#isTidied = true;
    const nowMs = (await stat(newest)).mtimeMs;
    for (const name of await readdir(dirname(newest))) {
      const path = join(dirname(newest), name);
      const found = await unlessAbsent(stat(path));
      if (found !== undefined && nowMs - found.mtimeMs > ABANDONED_AFTER_MS) await unlessAbsent(unlink(path));
    }
  }

  #path(key: string): string {
    checkKey(key);
    return join(this.#root, key);
  }

  async #named<T>(verb: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "";
      const hint = HINTS[code];
      const message = `cannot ${verb} ${key || "the objects"} in ${this.url}: ${messageOf(error)}`;
      throw new AppError(CODES[code] ?? "object-store", message, {
        cause: error,
        ...(hint === undefined ? {} : { hint }),
        details: { object: key, store: this.url },
      });
    }
  }
}

function factsOf({ size, mtimeMs }: Stats): ObjectFacts {
  return { bytes: size, modifiedAtMs: Math.floor(mtimeMs) };
}

async function openNew(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "wx");
  } catch (error) {
    if (isErrno(error, "EEXIST")) return undefined;
    throw error;
  }
}

/** The directory is flushed in both cases: the winner of a race may not have got that far yet. */
async function linkIfAbsent(from: string, to: string): Promise<"created" | "exists"> {
  try {
    await link(from, to);
    await syncPath(dirname(to));
    return "created";
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    await syncPath(dirname(to));
    return "exists";
  }
}

async function unlessNoObject<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await unlessAbsent(result);
  } catch (error) {
    if (isErrno(error, "EISDIR")) return undefined;
    throw error;
  }
}
