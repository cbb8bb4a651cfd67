/** The seal of datagrams: what is opened was sealed by a member, for this cluster, and for the first time. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { installKey, type Keyring, newKeyring, removeOldKeys, useNewestKey } from "../keyring/keyring.js";
import { PACKET_BYTES_MAX, SEAL_BYTES } from "./packet.js";
import { REPLAY_WINDOW } from "./replay-window.js";
import { type Opened, Sealer, type SealerOptions } from "./sealer.js";

const NOW = 1_700_000_000_000;
const cluster = { name: "iad", generation: 3 };
const idOf = (n: number): string => n.toString(16).padStart(32, "0");
const keyOf = (text: string): Uint8Array => createHash("sha256").update(text).digest();
const keyring: Keyring = newKeyring(keyOf("one"));
const TEXT = Buffer.from("are you there?");

function sealer(n: number, change: Partial<SealerOptions> = {}): Sealer {
  const fixed = { cluster, keyring, boot: NOW, firstCounter: n * 1000, sendersMax: 4, bootAheadMs: 60_000 };
  return new Sealer({ node: idOf(n), ...fixed, ...change });
}

const textOf = (opened: Opened): string => ("bytes" in opened ? Buffer.from(opened.bytes).toString() : opened.refused);

let [alice, bob] = [sealer(1), sealer(2)];
beforeEach(() => {
  [alice, bob] = [sealer(1), sealer(2)];
});

describe("a sealed datagram", () => {
  test("opens to what was sealed, whatever its size, and is 58 bytes longer", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: PACKET_BYTES_MAX - SEAL_BYTES }), (bytes) => {
        const packet = alice.seal(bytes);
        expect(packet.length).toBe(bytes.length + SEAL_BYTES);
        const opened = bob.open(packet, NOW);
        expect("bytes" in opened && Buffer.from(bytes).equals(opened.bytes)).toBe(true);
      }),
    );
  });

  test("is never the same twice, and shows nothing of what is in it", () => {
    const packets = [alice.seal(TEXT), alice.seal(TEXT), bob.seal(TEXT)].map((packet) => Buffer.from(packet));
    const bodies = new Set(packets.map((packet) => packet.subarray(42).toString("hex")));
    expect(bodies.size).toBe(3);
    for (const packet of packets) expect(packet.includes("there")).toBe(false);
  });

  test("has bytes that do not change from release to release", () => {
    const packet = sealer(1, { firstCounter: 7 }).seal(TEXT);
    expect(Buffer.from(packet).toString("hex")).toMatchInlineSnapshot(
      `"b80100000001220dfe85000000000000000000000000000000010000018bcfe5680000000000000000077346d04bafe1df5ebd29fdb3e03e21415b4dbc6ea49edc7aa681bfd37b98"`,
    );
  });
});

describe("refused, with nothing remembered", () => {
  const refused = (packet: Uint8Array, nowMs = NOW): string => {
    const before = bob.senders;
    const answer = textOf(bob.open(packet, nowMs));
    expect(bob.senders).toBe(before);
    return answer;
  };

  test("another cluster's, another generation's, and one whose tag only claims to be ours", () => {
    expect(refused(sealer(1, { cluster: { name: "fra", generation: 3 } }).seal(TEXT))).toBe("foreign-cluster");
    expect(refused(sealer(1, { cluster: { name: "iad", generation: 4 } }).seal(TEXT))).toBe("foreign-cluster");
    const relabelled = sealer(1, { cluster: { name: "iad", generation: 4 } }).seal(TEXT);
    relabelled.set(alice.seal(TEXT).subarray(6, 10), 6);
    expect(refused(relabelled)).toBe("forged");
  });

  test("an unknown epoch, and a known one with another key", () => {
    expect(refused(sealer(1, { keyring: { primary: 9, keys: [{ epoch: 9, key: keyOf("one") }] } }).seal(TEXT))).toBe(
      "unknown-epoch",
    );
    expect(refused(sealer(1, { keyring: newKeyring(keyOf("another")) }).seal(TEXT))).toBe("forged");
  });

  test("a second time, or so late that nobody knows", () => {
    const first = alice.seal(TEXT);
    const second = alice.seal(TEXT);
    expect(textOf(bob.open(second, NOW))).toBe(TEXT.toString());
    expect(refused(second)).toBe("replayed");
    expect(textOf(bob.open(first, NOW))).toBe(TEXT.toString()); // Overtaken on the way, and welcome.
    const late = alice.seal(TEXT);
    for (let i = 0; i < REPLAY_WINDOW; i++) bob.open(alice.seal(TEXT), NOW);
    expect(refused(late)).toBe("replayed");
  });

  test("from a boot before the latest, or one that no clock has reached", () => {
    const old = alice.seal(TEXT);
    expect(textOf(bob.open(sealer(1, { boot: NOW + 1 }).seal(TEXT), NOW))).toBe(TEXT.toString());
    expect(refused(old)).toBe("replayed");
    const ahead = sealer(1, { boot: NOW + 60_001 }).seal(TEXT);
    expect(refused(ahead)).toBe("boot-ahead");
    expect(textOf(bob.open(ahead, NOW + 1))).toBe(TEXT.toString());
  });

  test("our own, sent back", () => {
    expect(refused(bob.seal(TEXT))).toBe("reflected");
  });

  test("plaintext, noise, and whatever is cut, lengthened or changed in any bit", () => {
    const refusals = new Set<string>();
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 1400 }),
      fc.nat(2 ** 16).map((n) => cut(alice.seal(TEXT), n)),
      fc.nat(2 ** 16).map((n) => flip(alice.seal(TEXT), n)),
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map((tail) => Buffer.concat([alice.seal(TEXT), tail])),
    );
    fc.assert(
      fc.property(damaged, (packet) => void refusals.add(refused(packet))),
      { numRuns: 2000 },
    );
    expect(refusals).toEqual(new Set(["not-sealed", "foreign-cluster", "unknown-epoch", "forged", "boot-ahead"]));
    expect(textOf(bob.open(alice.seal(TEXT), NOW))).toBe(TEXT.toString());
  });
});

test("only so many senders are remembered, and a replay of one that is passes for none", () => {
  for (let n = 10; n < 30; n++) {
    const packet = sealer(n).seal(TEXT);
    expect(textOf(bob.open(packet, NOW))).toBe(TEXT.toString());
    expect(textOf(bob.open(packet, NOW))).toBe("replayed");
  }
  expect(bob.senders).toBe(4);
});

describe("a key is rotated", () => {
  const steps = [(ring: Keyring) => installKey(ring, keyOf("two")), useNewestKey, removeOldKeys];

  test("member by member, and at no moment does one refuse another", () => {
    const members = [sealer(1), sealer(2), sealer(3)];
    const rings = members.map(() => keyring);
    const allHear = (): void => {
      for (const from of members) {
        for (const to of members) {
          if (to !== from) expect(textOf(to.open(from.seal(TEXT), NOW))).toBe(TEXT.toString());
        }
      }
    };
    for (const step of steps) {
      members.forEach((member, i) => {
        rings[i] = step(rings[i] ?? keyring);
        member.replaceKeys(rings[i]);
        allHear();
      });
    }
    expect(rings[0]).toEqual({ primary: 2, keys: [{ epoch: 2, key: keyOf("two") }] });
  });

  test("what was sealed with a key that is gone is refused, and a replay stays one over the change", () => {
    const before = alice.seal(TEXT);
    bob.open(before, NOW);
    const installed = installKey(keyring, keyOf("two"));
    bob.replaceKeys(installed);
    expect(textOf(bob.open(before, NOW))).toBe("replayed");
    bob.replaceKeys(removeOldKeys(useNewestKey(installed)));
    expect(textOf(bob.open(alice.seal(TEXT), NOW))).toBe("unknown-epoch");
  });
});

function cut(packet: Uint8Array, n: number): Uint8Array {
  return packet.subarray(0, n % packet.length);
}

function flip(packet: Uint8Array, n: number): Uint8Array {
  const bit = n % (packet.length * 8);
  packet[bit >> 3] = (packet[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return packet;
}
