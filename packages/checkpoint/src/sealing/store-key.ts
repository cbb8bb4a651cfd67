/**
 * The store's own key, wrapped by a key of the ring, in a record of the store:
 *
 *     sealing/<10 digits>.json   {"fmt":1, "mode":…, "by":"<id of the wrapping key>", "nonce":…, "wrapped":…}
 *
 * A rotation adds a record that wraps the same key anew and touches nothing else. Records are looked through from the
 * newest on, so who still has an older key goes on reading until its record is retired. A wrong key is noticed here,
 * before anything is downloaded.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { AppError } from "@patina/base";
import { z } from "zod";
import { canonicalBytes, canonicalJson, sha256Hex } from "../manifest/canonical-json.js";
import type { ObjectStore } from "../object-store.js";
import type { KeyRing, Entropy } from "./key-ring.js";

export const SEALING = "sealing/";

const recordSchema = z.strictObject({
  fmt: z.literal(1),
  mode: z.enum(["signed", "encrypted"]),
  by: z.string(),
  nonce: z.string().regex(/^[0-9a-f]{24}$/),
  /** 32 bytes and the tag. */
  wrapped: z.string().regex(/^[0-9a-f]{96}$/),
});

type Record = z.infer<typeof recordSchema>;

/** Undefined in a store that was never sealed and holds nothing. Throws `sealing-key-wrong` or `sealing-mismatch`. */
export async function findStoreKey(store: ObjectStore, ring: KeyRing): Promise<Buffer | undefined> {
  const records = await readRecords(store);
  if (records.length === 0) {
    if ((await store.list("v1/")).length === 0) return undefined;
    throw mismatch(
      store,
      "holds checkpoints that are neither signed nor encrypted",
      "Use a new prefix for sealed ones.",
    );
  }
  for (const { record } of records) {
    const opened = unwrap(record, ring);
    if (opened === undefined) continue;
    if (record.mode === ring.mode) return opened;
    throw mismatch(store, `is ${record.mode}, the key file says ${ring.mode}`, "Use the key file of this store.");
  }
  throw keyWrong(store, records, ring);
}

/** The key there is, or a new one: of several that make one at once, one does. */
export async function makeStoreKey(store: ObjectStore, ring: KeyRing, entropy: Entropy): Promise<Buffer> {
  const existing = await findStoreKey(store, ring);
  if (existing !== undefined) return existing;
  await store.putIfAbsent(recordKey(1), canonicalBytes(wrap(Buffer.from(entropy(32)), ring, entropy)));
  const made = await findStoreKey(store, ring);
  if (made !== undefined) return made;
  throw new AppError("object-store", `${store.url} does not list ${recordKey(1)}, which was just written`);
}

/** Wraps the store's key with the ring's current one, too. Does nothing when it is already. */
export async function rewrapStoreKey(store: ObjectStore, ring: KeyRing, entropy: Entropy): Promise<void> {
  const key = await makeStoreKey(store, ring, entropy);
  const records = await readRecords(store);
  if (records[0]?.record.by === ring.keys[0]?.id) return;
  const next = (records[0]?.number ?? 0) + 1;
  const bytes = canonicalBytes(wrap(key, ring, entropy));
  if ((await store.putIfAbsent(recordKey(next), bytes)) === "created") return;
  throw mismatch(store, "is having its key rotated by somebody else", "Wait for them, then rotate again.");
}

/** Whether the ring's current key opens the newest record: if not, a rotation was begun and not finished. */
export async function isRotated(store: ObjectStore, ring: KeyRing): Promise<boolean> {
  const [newest] = await readRecords(store);
  return newest === undefined || newest.record.by === ring.keys[0]?.id;
}

/** Deletes all records but the newest: older keys open nothing from then on. */
export async function retireOldKeys(store: ObjectStore): Promise<void> {
  const [, ...old] = await readRecords(store);
  for (const { number } of old) await store.delete(recordKey(number));
}

export async function isSealed(store: ObjectStore): Promise<boolean> {
  return (await store.list(SEALING)).length > 0;
}

/** Newest first. */
async function readRecords(store: ObjectStore): Promise<{ number: number; record: Record }[]> {
  const found: { number: number; record: Record }[] = [];
  for (const { key } of (await store.list(SEALING)).reverse()) {
    const bytes = await store.get(key);
    const parsed = recordSchema.safeParse(parseJson(bytes));
    if (!parsed.success) {
      throw new AppError("checkpoint-forged", `${key} in ${store.url} is not a record of a wrapped key`, {
        hint: "Find out who wrote it; a copy of an intact record of the store can take its place.",
        details: { object: key, store: store.url },
      });
    }
    found.push({ number: Number(/(\d{10})\.json$/.exec(key)?.[1]), record: parsed.data });
  }
  return found;
}

function wrap(key: Buffer, ring: KeyRing, entropy: Entropy): Record {
  const [current] = ring.keys;
  if (current === undefined) throw new AppError("config-invalid", "a key ring without keys");
  const nonce = Buffer.from(entropy(12));
  const cipher = createCipheriv("aes-256-gcm", Buffer.from(current.key, "hex"), nonce);
  cipher.setAAD(boundTo(ring, ring.mode, current.id));
  const wrapped = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  return { fmt: 1, mode: ring.mode, by: current.id, nonce: nonce.toString("hex"), wrapped: wrapped.toString("hex") };
}

function unwrap({ mode, by, nonce, wrapped }: Record, ring: KeyRing): Buffer | undefined {
  const wrapping = ring.keys.find(({ id }) => id === by);
  if (wrapping === undefined) return undefined;
  const bytes = Buffer.from(wrapped, "hex");
  try {
    const decipher = createDecipheriv("aes-256-gcm", Buffer.from(wrapping.key, "hex"), Buffer.from(nonce, "hex"));
    decipher.setAAD(boundTo(ring, mode, by)).setAuthTag(bytes.subarray(32));
    return Buffer.concat([decipher.update(bytes.subarray(0, 32)), decipher.final()]);
  } catch {
    return undefined; // Not wrapped by this key: the caller says what it would take.
  }
}

/** The ring's `names` belong to the store as well: with others its objects would not be found. */
function boundTo(ring: KeyRing, mode: string, by: string): Buffer {
  return Buffer.from(canonicalJson({ by, fmt: 1, mode, names: sha256Hex(ring.names) }));
}

function keyWrong(store: ObjectStore, records: readonly { record: Record }[], ring: KeyRing): AppError {
  const needed = records.map(({ record }) => record.by);
  const held = ring.keys.map(({ id }) => id);
  return new AppError(
    "sealing-key-wrong",
    `${store.url} opens with key ${needed.join(" or ")}; the key file has ${held.join(", ")}`,
    {
      hint: "Use the key file of this store; after a rotation, the newer one.",
      details: { store: store.url, needed, held },
    },
  );
}

function mismatch(store: ObjectStore, what: string, hint: string): AppError {
  return new AppError("sealing-mismatch", `${store.url} ${what}`, { hint, details: { store: store.url } });
}

function recordKey(number: number): string {
  return `${SEALING}${String(number).padStart(10, "0")}.json`;
}

function parseJson(bytes: Uint8Array | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(bytes ?? []).toString("utf8"));
  } catch {
    return undefined; // Refused by the schema.
  }
}
