/** A file read in chunks in the copying thread is the file: every byte, in order, under the names that its content has. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { Rng } from "@patina/base";
import type { ReadChunks } from "@patina/checkpoint";
import { Copier } from "@patina/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAside } from "./read-aside.js";

const CHUNK_BYTES = 4096;
let dir: string;
let copier: Copier;
let readChunks: ReadChunks;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-copier-"));
  copier = new Copier(join(dir, "no.db"));
  readChunks = readAside(copier);
});

afterAll(async () => {
  await copier.close();
  rmSync(dir, { recursive: true });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** In turns a page that packs well and one that does not. */
function fileOf(bytes: number): [path: string, content: Buffer] {
  const rng = new Rng(bytes);
  const content = Buffer.from(Array.from({ length: bytes }, (_, i) => ((i >> 12) % 2 === 0 ? 7 : rng.below(256))));
  const path = join(dir, `file-${bytes}`);
  writeFileSync(path, content);
  return [path, content];
}

test.each([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 17])(
  "a file of %i bytes",
  async (bytes) => {
    const [path, content] = fileOf(bytes);
    const reader = readChunks(path, CHUNK_BYTES);
    const back: Uint8Array[] = [];
    for await (const chunk of reader) {
      expect(chunk.index).toBe(back.length);
      const { codec, stored } = await chunk.pack();
      const plain = codec === "brotli" ? brotliDecompressSync(stored) : stored;
      expect(plain.length).toBe(chunk.bytes);
      expect(sha256(plain)).toBe(chunk.id);
      back.push(plain);
    }
    expect(Buffer.concat(back).equals(content)).toBe(true);
    expect(reader.sha256()).toBe(sha256(content));
  },
);

test("a file that is given up halfway does not spoil the next", async () => {
  const [first] = fileOf(3 * CHUNK_BYTES);
  for await (const chunk of readChunks(first, CHUNK_BYTES)) if (chunk.index === 1) break;
  const [path, content] = fileOf(2 * CHUNK_BYTES + 1);
  const reader = readChunks(path, CHUNK_BYTES);
  let bytes = 0;
  for await (const chunk of reader) bytes += chunk.bytes;
  expect([bytes, reader.sha256()]).toEqual([content.length, sha256(content)]);
});

test("a file that is not there", async () => {
  const reader = readChunks(join(dir, "none"), CHUNK_BYTES);
  await expect(reader[Symbol.asyncIterator]().next()).rejects.toThrow("ENOENT");
});
