/**
 * The key file of a store that is signed or encrypted. It never goes into the store, a URL or a manifest.
 *
 *     {"fmt": 1, "mode": "encrypted", "names": "<64 hex>", "keys": [{"id": "<8 hex>", "key": "<64 hex>"}, …]}
 *
 * `keys` wrap the store's own key. The first is current; older ones stay until every reader has the newer file. `names`
 * hides what content-named objects hold; it stays for the life of the store, because they are found by it.
 */
import { AppError, messageOf } from "@patina/base";
import { z } from "zod";
import { readFile } from "node:fs/promises";

const key = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits");

const ringSchema = z.strictObject({
  fmt: z.literal(1),
  /** Signed: records are, data lies open. Encrypted: everything is sealed, names tell nothing. */
  mode: z.enum(["signed", "encrypted"]),
  names: key,
  keys: z
    .array(z.strictObject({ id: z.string().regex(/^[0-9a-f]{8}$/), key }))
    .min(1)
    .max(16),
});

export type KeyRing = z.infer<typeof ringSchema>;

/** Where unpredictable bytes come from. */
export type Entropy = (count: number) => Uint8Array;

export function newKeyRing(mode: KeyRing["mode"], entropy: Entropy): KeyRing {
  return { fmt: 1, mode, names: hex(entropy(32)), keys: [newKey(entropy)] };
}

/** The ring with a new current key before those it has. */
export function withNewKey(ring: KeyRing, entropy: Entropy): KeyRing {
  return { ...ring, keys: [newKey(entropy), ...ring.keys] };
}

/** Throws `config-invalid` naming the file and what is wrong, and nothing that is in it. */
export async function readKeyRing(path: string): Promise<KeyRing> {
  const parsed = ringSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.map(({ path: at, message }) => `${at.join(".") || "the whole"}: ${message}`);
  throw refusal(path, places.join("; "));
}

async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw refusal(path, messageOf(cause));
  }
  try {
    return JSON.parse(text);
  } catch {
    throw refusal(path, "it is not JSON"); // The parser's own message quotes the text.
  }
}

function refusal(path: string, what: string): AppError {
  return new AppError("config-invalid", `${path} is no key file for checkpoints: ${what}`, {
    hint: "Make one with `patina checkpoint keygen`, or restore it from where keys are kept.",
    details: { file: path },
  });
}

function newKey(entropy: Entropy): KeyRing["keys"][number] {
  return { id: hex(entropy(4)), key: hex(entropy(32)) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
