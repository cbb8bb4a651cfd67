/** Frames broken in every way: the decoder throws MalformedError and nothing else, and keeps no more than it was given. */
import { MalformedError, must, Ranges, Rng } from "@patina/base";
import { mutateBytes, randomBytes, weightMax, weightOf } from "@patina/base/testing";
import { expect, test } from "vitest";
import { defaultGossipConfig } from "./config.js";
import { decodeFrame, encodeFrame, type Frame } from "./frame.js";

const CASES = 30_000;
const origin = "0a".repeat(24);
const digest = "0b".repeat(32);
const versions = Ranges.from([[1, 4], [9, 300]]); // prettier-ignore
const FRAMES: readonly Frame[] = [
  { kind: "hello", protocol: { oldest: 1, newest: 2 }, cluster: { name: "iad", generation: 2 }, node: "0c".repeat(16) },
  {
    kind: "changes",
    changes: [1, 2, 300].map((version) => ({ origin, version, hlc: 5n, body: new Uint8Array(version) })),
  },
  { kind: "sum", holdingsHash: "0d".repeat(8), digest, isReply: true, isDurable: false },
  { kind: "holdings", holdings: new Map([[origin, { head: 400, gaps: versions }]]), isReply: false, isDurable: true },
  { kind: "want", wants: [{ origin, versions }] },
  { kind: "empty", empties: [{ origin, versions }, { origin: "0e".repeat(24), versions }] }, // prettier-ignore
  { kind: "repairing", basis: new Map([[origin, 7]]) },
  { kind: "repaired", isComplete: true },
  { kind: "heads", heads: new Map([[origin, 7]]) },
  { kind: "snapshot-want", after: new Uint8Array(9) },
  {
    kind: "snapshot",
    holdings: new Map([[origin, { head: 400, gaps: versions }]]),
    basis: new Map([[origin, 401]]),
    changes: [{ origin, version: 3, hlc: 5n, body: new Uint8Array(9) }],
    after: new Uint8Array(9),
    next: new Uint8Array(30),
  },
  {
    kind: "relay",
    interval: { low: 7, high: 900 },
    changes: [{ origin, version: 3, hlc: 5n, body: new Uint8Array(9) }],
  },
];

test(
  `${CASES} broken frames only ever throw MalformedError, and never become more than they were`,
  { timeout: 60_000 },
  () => {
    const [rng, valid] = [new Rng(5), FRAMES.map(encodeFrame)];
    let refused = 0;
    for (let i = 0; i < CASES; i++) {
      const bytes = i % 4 === 0 ? randomBytes(80, rng) : mutateBytes(must(rng.pick(valid), "a frame"), rng);
      try {
        const frame = decodeFrame(bytes, defaultGossipConfig);
        if (weightOf(frame) > weightMax(bytes)) throw new Error(`${bytes.length} bytes became ${weightOf(frame)}`);
        if (frame.kind === "unknown") continue;
        // What is taken for a frame is one: it can be written, and reads the same again.
        expect(decodeFrame(encodeFrame(frame), defaultGossipConfig)).toEqual(frame);
      } catch (thrown) {
        if (!(thrown instanceof MalformedError)) throw thrown;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(CASES / 2);
    expect(refused).toBeLessThan(CASES);
  },
);
