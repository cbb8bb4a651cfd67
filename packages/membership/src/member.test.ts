/** The join laws, on random records. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareMembers, isAddress, joinMembers, type Member } from "./member.js";

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

test("an address is a host and a port that exists", () => {
  expect(["10.0.0.1:4001", "[::1]:65535", "host:1"].filter((text) => !isAddress(text))).toEqual([]);
  expect(["", ":1", "host", "host:0", "host:65536", "ho st:1", "h\u00f6st:1"].filter(isAddress)).toEqual([]);
});
