/** The join laws, on random records. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareMembers, isAddress, isMember, joinMembers, type Member } from "./member.js";

const member: fc.Arbitrary<Member> = fc.record({
  nodeId: fc.constant("0".repeat(32)),
  boot: fc.nat(2),
  incarnation: fc.nat(2),
  state: fc.constantFrom("alive", "suspect", "dead", "left"),
  address: fc.constantFrom("a:1", "b:1"),
  meta: fc.record({ api: fc.constantFrom("x", "y") }),
});

describe("the join of two records about one node", () => {
  test("does not depend on the order in which they were heard", () => {
    fc.assert(
      fc.property(member, member, (a, b) => {
        expect(joinMembers(a, b)).toEqual(joinMembers(b, a));
      }),
    );
  });

  test("does not depend on how they were grouped", () => {
    const property = fc.property(member, member, member, (a, b, c) => {
      expect(joinMembers(joinMembers(a, b), c)).toEqual(joinMembers(a, joinMembers(b, c)));
    });
    fc.assert(property, { numRuns: 1_000 });
  });

  test("adds nothing when a record is heard again", () => {
    fc.assert(
      fc.property(member, member, (a, b) => {
        expect(joinMembers(a, a)).toEqual(a);
        expect(joinMembers(joinMembers(a, b), b)).toEqual(joinMembers(a, b));
      }),
    );
  });

  test("ties only records that say the same", () => {
    fc.assert(
      fc.property(member, member, (a, b) => {
        if (compareMembers(a, b) === 0) expect(a).toEqual(b);
      }),
    );
  });

  test.each([
    ["a new boot beats a death", { boot: 2, state: "alive" }, { boot: 1, incarnation: 9, state: "left" }],
    ["a refutation beats an accusation", { incarnation: 2 }, { incarnation: 1, state: "dead" }],
    ["death beats suspicion of the same incarnation", { state: "dead" }, { state: "suspect" }],
    ["leaving beats death of the same incarnation", { state: "left" }, { state: "dead" }],
  ] as const)("%s", (_, winner, loser) => {
    const base: Member = {
      nodeId: "0".repeat(32),
      boot: 1,
      incarnation: 1,
      state: "alive",
      address: "a:1",
      meta: { api: "" },
    };
    expect(joinMembers({ ...base, ...loser }, { ...base, ...winner })).toEqual({ ...base, ...winner });
  });
});

test("an address is a host and a port that exist, and that a URL can have", () => {
  const good = ["10.0.0.1:4001", "255.255.255.255:1", "[::1]:65535", "[::]:1", "[fdaa:0:1::2]:80", "[1:2:3:4:5:6:7:8]:1", "[::ffff:10.0.0.1]:1", "host:1", "a-b.c_d.internal.:7946", "7a:1"]; // prettier-ignore
  expect(good.filter((text) => !isAddress(text))).toEqual([]);
  for (const text of good) expect(() => new URL(`ws://${text}/`)).not.toThrow();
  const bad = ["", ":1", "host", "host:0", "host:65536", "ho st:1", "h\u00f6st:1", "::1:1", "[]:1", "[:::]:1", "[1:2:3]:1", "[1:2:3:4:5:6:7:8:9]:1", "[::1%eth0]:1", "[::10.0.0]:1", "127.0.0.256:1", "10.0.0.1.5:1", "10.1:1", "x.0x7f:1", "<host>:1", "%HOST%:1", "a#b:1", "-a:1", "a..b:1"]; // prettier-ignore
  expect(bad.filter(isAddress)).toEqual([]);
});

test("whatever is an address can be dialed", () => {
  const piece = fc.constantFrom("a", "b-c", "0", "1", "255", "256", "0x1", "fe80", ".", ".", ":", ":", "::", "[", "]", "%", "_", "#", "@", "/"); // prettier-ignore
  const host = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(
      fc.oneof(
        host,
        host.map((it) => `[${it}]`),
        fc.ipV4(),
        fc.ipV6().map((it) => `[${it}]`),
        fc.domain(),
      ),
      fc.nat(70_000),
      (it, port) => {
        // prettier-ignore
        const text = `${it}:${port}`;
        if (isAddress(text)) expect(new URL(`ws://${text}/`).hostname).not.toBe("");
      },
    ),
    { numRuns: 5000 },
  );
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6().map((it) => `[${it}]`)), (it) => isAddress(`${it}:7946`))); // prettier-ignore
});

test("what a damaged file has in the place of a member is none", () => {
  const member: Member = { nodeId: "a".repeat(32), boot: 1, incarnation: 0, state: "alive", address: "h:1", meta: { api: "" } }; // prettier-ignore
  expect(isMember(JSON.parse(JSON.stringify(member)))).toBe(true);
  const damaged = [null, 7, "x", [], {}, { ...member, nodeId: "b" }, { ...member, boot: "1" }, { ...member, incarnation: 0.5 }, { ...member, state: "toString" }, { ...member, address: "h" }, { ...member, meta: null }]; // prettier-ignore
  expect(damaged.filter(isMember)).toEqual([]);
});
