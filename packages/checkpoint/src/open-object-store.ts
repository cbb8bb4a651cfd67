/** From the URL an operator writes in a config file to the store it names. */
import { fileURLToPath } from "node:url";
import { AppError, messageOf } from "@patina/base";
import { FileObjectStore } from "./file/file-object-store.js";
import { namedMemoryObjectStore } from "./memory/memory-object-store.js";
import type { ObjectStore } from "./object-store.js";
import type { S3Limits } from "./s3/s3-limits.js";
import { S3ObjectStore } from "./s3/s3-object-store.js";
import { parseS3Url } from "./s3/s3-url.js";
import { type Entropy, readKeyRing } from "./sealing/key-ring.js";
import { SealedObjectStore } from "./sealing/sealed-object-store.js";
import { UnsealedObjectStore } from "./sealing/unsealed-object-store.js";

const HINT =
  "Use s3://bucket/prefix, file:///absolute/directory, or memory:name for one that lasts as long as the process.";

export interface OpenObjectStore {
  /** This machine's clock: the time of a store that has none of its own (memory), and what S3's is compared with. */
  readonly wallMs?: () => number;
  readonly s3Limits?: Partial<S3Limits>;
}

/** Nothing is read or created yet: a store that cannot be reached says so at its first use. */
export function openObjectStore(url: string, { wallMs, s3Limits = {} }: OpenObjectStore = {}): ObjectStore {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case "file":
      return new FileObjectStore(directoryOf(url));
    case "s3":
      return new S3ObjectStore(parseS3Url(url), { wallMs, limits: s3Limits });
    case "memory": {
      const name = url.slice("memory:".length);
      if (!/^[\w.-]+$/.test(name)) throw new AppError("object-store", `${url} does not name a store`, { hint: HINT });
      return namedMemoryObjectStore(name, wallMs);
    }
    default: {
      const what = scheme === undefined ? "is not an object store's URL" : `names no supported object store`;
      throw new AppError("object-store", `${JSON.stringify(url)} ${what}: supported are s3:, file: and memory:`, {
        hint: HINT,
      });
    }
  }
}

export interface OpenCheckpointStore extends OpenObjectStore {
  /** The key file of a signed or encrypted store. */
  readonly keyFile?: string | undefined;
  readonly entropy: Entropy;
}

/** The store at `url` as checkpoints use it: sealed when there is a key, and never read without one when it takes one. */
export async function openCheckpointStore(
  url: string,
  { keyFile, entropy, ...open }: OpenCheckpointStore,
): Promise<ObjectStore> {
  const objects = openObjectStore(url, open);
  if (keyFile === undefined) return new UnsealedObjectStore(objects);
  return new SealedObjectStore(objects, { ring: await readKeyRing(keyFile), entropy });
}

function directoryOf(url: string): string {
  try {
    if (!/^file:\/\/\//i.test(url)) throw new Error("a file URL has three slashes and an absolute path");
    return fileURLToPath(url);
  } catch (error) {
    throw new AppError("object-store", `${url} names no directory: ${messageOf(error)}`, { hint: HINT, cause: error });
  }
}
