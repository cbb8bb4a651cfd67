/**
 * How the bytes of one object are signed or sealed, under keys derived from the store's own. Both are bound to the
 * object's name, so that nothing can be put in another's place.
 *
 *     signed     bytes ‖ "\npatina-signed:" ‖ hex HMAC-SHA-256(name ‖ 0 ‖ bytes)
 *     encrypted  "PTN1" ‖ nonce (12, random) ‖ AES-256-GCM(bytes, AAD = name) ‖ tag (16)
 *
 * Random nonces under one key are safe for 2^32 objects (NIST SP 800-38D §8.3): a delta every 10 s for 1,300 years.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { slicesOf } from "../slices.js";
import type { Entropy } from "./key-ring.js";

export interface Seal {
  /** What an object grows by. */
  readonly overhead: number;
  close: (name: string, bytes: Uint8Array) => Promise<Uint8Array>;
  /** The bytes, or undefined when they were not closed with this key under this name. */
  open: (name: string, stored: Uint8Array) => Promise<Uint8Array | undefined>;
}

const MARK = Buffer.from("\npatina-signed:");
const MAGIC = Buffer.from("PTN1");
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export function signature(storeKey: Uint8Array): Seal {
  const key = derived(storeKey, "sign");
  const sign = (name: string, bytes: Uint8Array): Buffer => {
    const mac = createHmac("sha256", key).update(name).update(Buffer.alloc(1)).update(bytes).digest("hex");
    return Buffer.concat([MARK, Buffer.from(mac)]);
  };
  const overhead = MARK.length + 64;
  return {
    overhead,
    close: async (name, bytes) => Buffer.concat([bytes, sign(name, bytes)]),
    open: async (name, stored) => {
      if (stored.length < overhead) return undefined;
      const bytes = stored.subarray(0, stored.length - overhead);
      return timingSafeEqual(stored.subarray(bytes.length), sign(name, bytes)) ? bytes : undefined;
    },
  };
}

export function encryption(storeKey: Uint8Array, entropy: Entropy): Seal {
  const key = derived(storeKey, "seal");
  const overhead = MAGIC.length + NONCE_BYTES + TAG_BYTES;
  return {
    overhead,
    close: async (name, bytes) => {
      const nonce = entropy(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(name));
      const sealed: Uint8Array[] = [MAGIC, nonce];
      for await (const slice of slicesOf(bytes)) sealed.push(cipher.update(slice));
      cipher.final();
      return Buffer.concat([...sealed, cipher.getAuthTag()]);
    },
    open: async (name, stored) => {
      if (stored.length < overhead || !MAGIC.equals(stored.subarray(0, MAGIC.length))) return undefined;
      const head = MAGIC.length + NONCE_BYTES;
      const end = stored.length - TAG_BYTES;
      const decipher = createDecipheriv("aes-256-gcm", key, stored.subarray(MAGIC.length, head));
      decipher.setAAD(Buffer.from(name)).setAuthTag(stored.subarray(end));
      const opened: Uint8Array[] = [];
      for await (const slice of slicesOf(stored.subarray(head, end))) opened.push(decipher.update(slice));
      return isAuthentic(decipher) ? Buffer.concat(opened) : undefined;
    },
  };
}

function isAuthentic(decipher: ReturnType<typeof createDecipheriv>): boolean {
  try {
    decipher.final();
    return true;
  } catch {
    return false; // The caller says of which object, and what that means.
  }
}

function derived(storeKey: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", storeKey, Buffer.alloc(0), `patina checkpoint ${purpose}`, 32));
}
