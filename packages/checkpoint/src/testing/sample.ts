/** A checkpoint to test with: facts that are plausible, and images that do not compress to nothing. */
import { writeFile } from "node:fs/promises";
import { Ranges, Rng } from "@patina/base";
import type { CheckpointFacts } from "../manifest/manifest.js";

const ORIGIN_A = "a".repeat(48);
const ORIGIN_B = "b".repeat(48);

export function sampleFacts(changes: Partial<CheckpointFacts> = {}): CheckpointFacts {
  return {
    level: "base",
    parent: null,
    generation: 1,
    takenAtMs: Date.UTC(2026, 10, 22, 20, 13, 45, 123),
    by: { node: "a".repeat(32), origin: ORIGIN_A },
    app: "0.1.0",
    schema: { hash: "0123abcd", sql: "CREATE TABLE machines (id TEXT PRIMARY KEY NOT NULL, app TEXT)" },
    holdings: new Map([
      [ORIGIN_B, { head: 9, gaps: Ranges.of(5, 6) }],
      [ORIGIN_A, { head: 120, gaps: Ranges.empty }],
    ]),
    hlc: 115_792_089_237_316_195n,
    digest: "00ff".repeat(16),
    tables: { machines: { rows: 3, digest: "aa".repeat(32) } },
    ...changes,
  };
}

/** Reproducible bytes, half of them random, so that both codecs and several chunks come up. */
export async function writeSampleImage(path: string, bytes: number, seed = 1): Promise<Uint8Array> {
  const rng = new Rng(seed);
  const image = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += at % 8192 < 4096 ? 4 : 1024) image.writeUInt32LE(rng.u32(), at);
  await writeFile(path, image);
  return image;
}
