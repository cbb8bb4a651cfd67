/** Datagrams broken in every way: the decoder throws MalformedError and nothing else, and keeps no more than it was given. */
import { MalformedError, must, Rng } from "@patina/base";
import { mutateBytes, randomBytes, weightMax, weightOf } from "@patina/base/testing";
import { expect, test } from "vitest";
import type { Member } from "./member.js";
import { decodeDatagram, encodeHeader, encodeMessage, type Message } from "./message.js";

const CASES = 30_000;
const cluster = { name: "iad", generation: 1 };
const limits = { addressBytesMax: 64, apiBytesMax: 64 };
const target = "0a".repeat(16);
const memberIn = (state: Member["state"]): Member => {
  return { nodeId: target, boot: 3, incarnation: 300, state, address: "10.0.0.1:7946", meta: { api: "http://a:1" } };
};
const MESSAGES: readonly Message[] = [
  { kind: "ping", seq: 300, target, rosterHash: 7 },
  { kind: "ack", seq: 1, rosterHash: 0xffff_ffff, lagMs: 5000 },
  { kind: "ping-request", seq: 2, target, address: "10.0.0.2:1" },
  { kind: "relayed-ack", seq: 3, target },
  { kind: "nack", seq: 4 },
  { kind: "roster-request" },
  { kind: "rumour", member: memberIn("suspect"), accuser: target },
  { kind: "rumour", member: memberIn("dead"), ageMs: 70_000 },
];
/** Header and messages, from one to all. */
const VALID = MESSAGES.map((_, i) => {
  const parts = [encodeHeader(cluster, memberIn("alive")), ...MESSAGES.slice(i).map(encodeMessage)];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
});

test(
  `${CASES} broken datagrams only ever throw MalformedError, and never become more than they were`,
  { timeout: 60_000 },
  () => {
    const rng = new Rng(6);
    const counts = { refused: 0, foreign: 0, read: 0 };
    for (let i = 0; i < CASES; i++) {
      const bytes = i % 4 === 0 ? randomBytes(120, rng) : mutateBytes(must(rng.pick(VALID), "a datagram"), rng);
      try {
        const datagram = decodeDatagram(bytes, cluster, limits);
        if (weightOf(datagram) > weightMax(bytes))
          throw new Error(`${bytes.length} bytes became ${weightOf(datagram)}`);
        counts[datagram === "foreign-cluster" ? "foreign" : "read"]++;
      } catch (thrown) {
        if (!(thrown instanceof MalformedError)) throw thrown;
        counts.refused++;
      }
    }
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(100);
  },
);
