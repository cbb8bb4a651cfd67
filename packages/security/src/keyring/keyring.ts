/**
 * The cluster's keys: several are accepted, one seals. A key is replaced in three steps, each finished on every member
 * before the next begins, so that nobody ever meets a key it does not have:
 *
 *   install   a new key is accepted        use   it seals        remove   the old ones are forgotten
 *
 * One that was installed may be given up by hand. Some member may have it still, so its epoch is not used again: while an
 * installed key waits for its use, the file says which epoch is the `last`. (The release before does not read such a file.)
 */
import { AppError, messageOf } from "@patina/base";
import { z } from "zod";

export const KEY_BYTES = 32;
/** Keys in a ring: the one in use, the next, and one left over. */
const KEYS_MAX = 3;
const EPOCH_MAX = 2 ** 32 - 1;

/** Plain data: it may cross to another thread. */
export interface Keyring {
  /** The epoch whose key seals. */
  readonly primary: number;
  readonly keys: readonly { readonly epoch: number; readonly key: Uint8Array }[];
  /** The greatest epoch there ever was, when its key was given up. It never stands for another one. */
  readonly last?: number;
}

const epoch = z.number().int().min(1).max(EPOCH_MAX);
const document = z
  .strictObject({
    primary: epoch,
    last: epoch.optional(),
    keys: z
      .array(z.strictObject({ epoch, key: z.base64().length(44, `must be ${KEY_BYTES} bytes in base64`) }))
      .min(1)
      .max(KEYS_MAX),
  })
  .refine(({ keys }) => new Set(keys.map((key) => key.epoch)).size === keys.length, "two keys have one epoch")
  .refine(({ primary, keys }) => keys.some((key) => key.epoch === primary), "the primary's key is not there");

/** Throws `config-invalid`, naming `source`. */
export function parseKeyring(text: string, source: string): Keyring {
  const parsed = document.safeParse(parseJson(text, source));
  if (!parsed.success) throw invalid(source, parsed.error.issues.map(({ message }) => message).join("; "));
  const { primary, last } = parsed.data;
  const keys = parsed.data.keys.map((it) => ({ epoch: it.epoch, key: new Uint8Array(Buffer.from(it.key, "base64")) }));
  const isGivenUp = last !== undefined && last > newestEpoch({ primary, keys });
  return { primary, keys, ...(isGivenUp ? { last } : {}) };
}

export function formatKeyring(ring: Keyring): string {
  const { primary, keys } = ring;
  const last = lastEpoch(ring);
  const readable = keys.map((it) => ({ epoch: it.epoch, key: Buffer.from(it.key).toString("base64") }));
  return `${JSON.stringify({ primary, ...(last > primary ? { last } : {}), keys: readable }, undefined, 2)}\n`;
}

export function newKeyring(key: Uint8Array): Keyring {
  return { primary: 1, keys: [{ epoch: 1, key }] };
}

export function acceptedKey({ keys }: Keyring, of: number): Uint8Array | undefined {
  return keys.find((key) => key.epoch === of)?.key;
}

export function newestEpoch({ keys }: Keyring): number {
  return Math.max(...keys.map((key) => key.epoch));
}

function lastEpoch(ring: Keyring): number {
  return Math.max(ring.last ?? 0, newestEpoch(ring));
}

/** A new key is accepted. Throws `bad-request` while an earlier one still waits to be used, or the ring is full. */
export function installKey(ring: Keyring, key: Uint8Array): Keyring {
  if (newestEpoch(ring) !== ring.primary) {
    throw new AppError("bad-request", `the key of epoch ${newestEpoch(ring)} is installed and not used yet`, {
      hint: "Finish its rotation first: use, then remove.",
    });
  }
  if (ring.keys.length === KEYS_MAX) {
    throw new AppError("bad-request", `a keyring has at most ${KEYS_MAX} keys`, { hint: "Remove the old ones first." });
  }
  return { primary: ring.primary, keys: [...ring.keys, { epoch: lastEpoch(ring) + 1, key }] };
}

/** The newest key seals. Throws `bad-request` when it does already. */
export function useNewestKey(ring: Keyring): Keyring {
  const newest = newestEpoch(ring);
  if (newest === ring.primary) {
    throw new AppError("bad-request", `epoch ${newest} is the newest, and in use`, {
      hint: "Install a new key first.",
    });
  }
  return { ...ring, primary: newest };
}

/** Only the key in use is left. Throws `bad-request` when a newer one waits to be used. */
export function removeOldKeys(ring: Keyring): Keyring {
  if (newestEpoch(ring) !== ring.primary) {
    throw new AppError("bad-request", `the key of epoch ${newestEpoch(ring)} is not in use yet`, {
      hint: "Use it on every member first; to give it up instead, delete it from the file by hand.",
    });
  }
  return { ...ring, keys: ring.keys.filter((key) => key.epoch === ring.primary) };
}

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(source, `it is not JSON (${messageOf(cause)})`);
  }
}

function invalid(source: string, why: string): AppError {
  return new AppError("config-invalid", `${source} is not a keyring: ${why}`, {
    hint: "`patina tls ca` makes one, and `patina tls rotate` changes it.",
  });
}
