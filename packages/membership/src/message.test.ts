/** The codec: round trip, golden bytes, and noise. */
import { MalformedError } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Member } from "./member.js";
import { decodeDatagram, encodeHeader, encodeMessage, type Message } from "./message.js";

const cluster = { name: "iad", generation: 1 };
const limits = { addressBytesMax: 64, apiBytesMax: 64 };

const nodeId = fc
  .array(fc.constantFrom(..."0123456789abcdef"), { minLength: 32, maxLength: 32 })
  .map((digits) => digits.join(""));
const address = fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 65_535 })).map(([a, port]) => `10.0.0.${a}:${port}`);
const seq = fc.nat(0xffff_ffff);
const rosterHash = fc.nat(0xffff_ffff);
const memberIn = (...states: Member["state"][]): fc.Arbitrary<Member> =>
  fc.record({
    nodeId,
    boot: fc.maxSafeNat(),
    incarnation: fc.nat(),
    state: fc.constantFrom(...states),
    address,
    meta: fc.record({ api: fc.webUrl({ size: "small" }).filter((url) => url.length <= 60) }),
  });
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant("ping"), seq, target: nodeId, rosterHash }),
  fc.record({ kind: fc.constant("ack"), seq, rosterHash, lagMs: seq }),
  fc.record({ kind: fc.constant("ping-request"), seq, target: nodeId, address }),
  fc.record({ kind: fc.constant("relayed-ack"), seq, target: nodeId }),
  fc.record({ kind: fc.constant("nack"), seq }),
  fc.record({ kind: fc.constant("roster-request") }),
  fc.record({ kind: fc.constant("rumour"), member: memberIn("alive") }),
  fc.record({ kind: fc.constant("rumour"), member: memberIn("suspect"), accuser: nodeId }),
  fc.record({ kind: fc.constant("rumour"), member: memberIn("dead", "left"), ageMs: fc.nat() }),
);
const datagram = fc.record({ sender: memberIn("alive", "left"), messages: fc.array(message, { maxLength: 5 }) });

function encode(sender: Member, messages: readonly Message[]): Uint8Array {
  const parts = [encodeHeader(cluster, sender), ...messages.map(encodeMessage)];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe("a datagram", () => {
  test("reads as it was written", () => {
    fc.assert(
      fc.property(datagram, ({ sender, messages }) => {
        expect(decodeDatagram(encode(sender, messages), cluster, limits)).toEqual({ sender, messages });
      }),
    );
  });

  test("has these bytes, and changing them is a new version", () => {
    const sender: Member = {
      nodeId: "00112233445566778899aabbccddeeff",
      boot: 300,
      incarnation: 2,
      state: "alive",
      address: "a:1",
      meta: { api: "b" },
    };
    const bytes = encode(sender, [{ kind: "ack", seq: 7, rosterHash: 0x01020304, lagMs: 300 }]);
    const hex = [...bytes.slice(6)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    expect([...bytes.slice(0, 2)]).toEqual([0xb7, 1]);
    expect(hex).toBe("00112233445566778899aabbccddeeffac02020003613a3101620207" + "01020304" + "ac02");
  });

  test("of another generation of the same cluster is foreign, whatever follows", () => {
    fc.assert(
      fc.property(datagram, ({ sender, messages }) => {
        expect(decodeDatagram(encode(sender, messages), { ...cluster, generation: 2 }, limits)).toBe("foreign-cluster");
      }),
    );
  });

  test("that was cut, altered or made up throws MalformedError and nothing else", () => {
    const altered = fc
      .tuple(datagram, fc.nat(), fc.nat(255), fc.boolean())
      .map(([{ sender, messages }, at, byte, cut]) => {
        const bytes = encode(sender, messages);
        const index = at % bytes.length;
        if (cut) return bytes.slice(0, index);
        bytes[index] = byte;
        return bytes;
      });
    const headed = fc.uint8Array({ maxLength: 300 }).map((rest) => {
      const header = encodeHeader(cluster, {
        nodeId: "0".repeat(32),
        boot: 1,
        incarnation: 0,
        state: "alive",
        address: "a:1",
        meta: { api: "" },
      });
      return Uint8Array.from([...header, ...rest]);
    });
    const property = fc.property(fc.oneof(altered, headed, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      try {
        decodeDatagram(bytes, cluster, limits);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    });
    fc.assert(property, { numRuns: 3_000 });
  });

  test.each([
    ["an address without a port", { address: "nowhere" }],
    ["an address beyond its limit", { address: `${"a".repeat(64)}:1` }],
    ["an api beyond its limit", { meta: { api: "a".repeat(65) } }],
    ["a sender that says it is dead", { state: "dead" }],
  ] as const)("with %s is malformed", (_, flaw) => {
    const sender: Member = {
      nodeId: "0".repeat(32),
      boot: 1,
      incarnation: 0,
      state: "alive",
      address: "a:1",
      meta: { api: "" },
      ...flaw,
    };
    expect(() => decodeDatagram(encode(sender, []), cluster, limits)).toThrow(MalformedError);
  });
});
