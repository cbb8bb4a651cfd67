/**
 * A pin: while it is fresh, what it names and all that stands under it is kept. A restore holds one, because it may take longer
 * than a checkpoint has left.
 *
 * It is a courtesy to the restore and never a condition of it: a region must come back also where nothing can be written.
 */
import { AppError } from "@patina/base";
import { canonicalBytes } from "../manifest/canonical-json.js";
import { checkpointOfKey, pinKey, pinPrefix } from "../manifest/keys.js";
import type { ObjectStore } from "../object-store.js";
import { GRACE_MS, PIN_FOR_MS } from "./grace.js";
import { readTrash } from "./trash.js";

const RENEWALS = 3;
/** Members that restore one checkpoint at once, and renew: a thousand nodes for a day. */
const PINS_MAX = 9999;

/** Throws `checkpoint-unknown` for a checkpoint that may be in deletion by now, and what `work` throws. */
export async function whilePinned<T>(
  objects: ObjectStore,
  cluster: string,
  id: string,
  work: () => Promise<T>,
): Promise<T> {
  const pins: string[] = [];
  const renew = async (): Promise<void> => {
    const key = await putPin(objects, cluster, id);
    if (key !== undefined) pins.push(key);
  };
  await renew();
  await refuseSwept(objects, cluster, id);
  const timer = setInterval(() => void renew(), PIN_FOR_MS / RENEWALS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    for (const key of pins) await unlessRefused(() => objects.delete(key)); // Else it expires.
  }
}

/** By id, the checkpoints that are being restored. */
export async function readPins(objects: ObjectStore, cluster: string, nowMs: number): Promise<Map<string, string>> {
  const pins = new Map<string, string>();
  for (const { key, modifiedAtMs } of await objects.list(pinPrefix(cluster))) {
    const id = checkpointOfKey(key);
    if (id !== undefined && nowMs - modifiedAtMs <= PIN_FOR_MS) pins.set(id, "it is being restored");
  }
  return pins;
}

/** The pin's key; undefined where nothing can be written. */
async function putPin(objects: ObjectStore, cluster: string, id: string): Promise<string | undefined> {
  return unlessRefused(async () => {
    const last = (await objects.list(`${pinPrefix(cluster)}${id}/`)).at(-1)?.key;
    const first = last === undefined ? 0 : Number(/(\d+)\.json$/.exec(last)?.[1]) + 1;
    for (let n = first; n < PINS_MAX; n++) {
      const key = pinKey(cluster, id, n);
      if ((await objects.putIfAbsent(key, canonicalBytes({ fmt: 1 }))) === "created") return key;
    }
    return undefined;
  });
}

/** A pin set after a sweep began comes too late for it. */
async function refuseSwept(objects: ObjectStore, cluster: string, id: string): Promise<void> {
  const nowMs = await objects.now();
  const isSwept = (await readTrash(objects, cluster)).some(
    ({ manifests, markedAtMs }) => manifests.has(id) && nowMs - markedAtMs >= GRACE_MS - PIN_FOR_MS,
  );
  if (!isSwept) return;
  throw new AppError("checkpoint-unknown", `${id} of ${cluster} is being deleted from ${objects.url}`, {
    hint: "Restore another: `patina checkpoint list`.",
  });
}

async function unlessRefused<T>(write: () => Promise<T>): Promise<T | undefined> {
  try {
    return await write();
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}
