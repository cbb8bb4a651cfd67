/** Whose rows make up for what a lost node left owing, and when that is over. */
import { AppError, type Holding, must, type NodeId, type Now, type OriginId, Ranges, VERSION_MAX } from "@patina/base";
import type { SnapshotPiece } from "@patina/gossip";
import { expect, test } from "vitest";
import { testAgentConfig as config } from "./config.js";
import { EarlyChanges } from "./early-changes.js";
import type { ReplicaEffect } from "./replica-effect.js";
import { Restitution } from "./restitution.js";
import { idOf, ModelStore, originOf } from "./testing/model-store.js";

const LOST = originOf(9);
const SELF = 2;
const START = new Uint8Array();
const at = (monotonicMs: number): Now => ({ wallMs: 1_790_000_000_000, monotonicMs });
const upTo = (head: number, gaps = Ranges.empty): Holding => ({ head, gaps });

/** A member that owes the lost node's versions, and holds 5 of them and 3 of another's. */
function debtor(enlisted: readonly number[], joined = Ranges.empty) {
  const store = new ModelStore(SELF);
  const settled: string[] = [];
  const held = new Map<OriginId, Holding>([[originOf(1), upTo(3)], [LOST, upTo(5)]]); // prettier-ignore
  store.holdings = () => held;
  store.basis = () => new Map([...[...held].map(([origin, { head }]) => [origin, head] as const), [LOST, VERSION_MAX]]); // prettier-ignore
  store.members = { ...store.members, roster: () => enlisted.map(idOf) };
  store.debts = {
    list: () => (settled.length > 0 ? [] : [LOST]),
    joined: () => joined,
    hasEnded: (origin) => origin === LOST,
    settle: (all) => void settled.push(...all.map(({ versions }) => `settled ${versions.toString()}`)),
  };
  const restitution = new Restitution(store, config, new EarlyChanges(config));
  return { store, settled, held, restitution };
}

/** What a peer answers: it holds so much of the lost node's, and owes more if it is a debtor, too. */
function piece(lost: Holding, isDebtor = false, more: Partial<SnapshotPiece> = {}): SnapshotPiece {
  const holdings = new Map([[originOf(1), upTo(3)], [LOST, lost]]); // prettier-ignore
  const basis = new Map([[originOf(1), 3], [LOST, isDebtor ? VERSION_MAX : lost.head]]); // prettier-ignore
  return { holdings, basis, changes: [], after: START, next: START, ...more };
}

const asked = (effects: readonly ReplicaEffect[]): NodeId[] =>
  effects.flatMap((it) => (it.kind === "frame" && it.frame.kind === "snapshot-want" ? [it.to] : []));
const isOver = (effects: readonly ReplicaEffect[]): boolean =>
  effects.some((it) => it.kind === "event" && it.event.kind === "restituted");

test("the rows of one that owes nothing and holds all that is held here are enough", () => {
  const { restitution, settled } = debtor([1, 2, 3, 4]);
  restitution.noteComparable(idOf(3), true);
  expect(asked(restitution.onRoundDue([1, 3, 4].map(idOf), at(0)))).toEqual([idOf(3)]);
  expect(restitution.isUnderWay).toBe(true);
  expect(isOver(restitution.onPiece(idOf(3), piece(upTo(6)), at(1)))).toBe(true);
  expect(settled).toEqual(["settled 6"]);
  expect(restitution.isUnderWay).toBe(false);
});

test.each([
  ["owes something, too,", piece(upTo(6), true)],
  ["has a gap, too,", piece(upTo(6, Ranges.of(2, 2)), true)],
])("those of one that %s are not, and those of every member enlisted are", (_, first) => {
  const { restitution, settled, held } = debtor([1, 2, 3]);
  held.set(LOST, upTo(5, Ranges.of(2, 2)));
  const peers = [1, 3].map(idOf);
  const later = config.restitutionEveryMs;
  restitution.onRoundDue(peers, at(0));
  const [one] = asked(restitution.onRoundDue(peers, at(later)));
  const [other] = asked(restitution.onPiece(must(one, "a peer"), first, at(later)));
  expect(settled).toEqual([]);
  expect([one, other].sort()).toEqual(peers);
  const last = piece(upTo(8, Ranges.parse("2,7")), true);
  expect(isOver(restitution.onPiece(must(other, "a peer"), last, at(later)))).toBe(true);
  expect(settled).toEqual(["settled 2,6-8"]);
});

test("rows that were joined of a version which one that owes nothing lacks are no matter of that one alone", () => {
  const { restitution, settled } = debtor([1, 2, 3], Ranges.of(8, 8));
  restitution.noteComparable(idOf(1), true);
  const peers = [1, 3].map(idOf);
  restitution.onRoundDue(peers, at(0));
  expect(restitution.onPiece(idOf(1), piece(upTo(6)), at(1))).toEqual([]);
  expect(asked(restitution.onRoundDue(peers, at(config.restitutionEveryMs)))).toEqual([idOf(3)]);
  expect(isOver(restitution.onPiece(idOf(3), piece(upTo(6)), at(config.restitutionEveryMs)))).toBe(true);
  expect(settled).toEqual(["settled 6-8"]);
});

test("one that owes nothing and lacks what is held here is read as one of all", () => {
  const { restitution, settled, held } = debtor([1, 2]);
  held.set(LOST, upTo(8, Ranges.of(6, 7)));
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  expect(restitution.onPiece(idOf(1), piece(upTo(5)), at(1))).toEqual([]);
  const later = 1 + config.restitutionEveryMs;
  expect(asked(restitution.onRoundDue([idOf(1)], at(later)))).toEqual([idOf(1)]);
  expect(isOver(restitution.onPiece(idOf(1), piece(upTo(5)), at(later)))).toBe(true);
  expect(settled).toEqual(["settled 6-7"]);
});

test("the rows of one that waits yet for what is lost count for nothing", () => {
  const { restitution, settled } = debtor([1, 2]);
  restitution.onRoundDue([idOf(1)], at(config.restitutionEveryMs));
  const unaware = piece(upTo(6), false, { basis: new Map([[LOST, 9]]) });
  expect(restitution.onPiece(idOf(1), unaware, at(config.restitutionEveryMs))).toEqual([]);
  expect([settled, restitution.isUnderWay]).toEqual([[], false]);
});

test("what a debtor's rows bring along of another lost node ends with the rest, since nobody may ever be whole otherwise", () => {
  const { store, restitution, settled, held } = debtor([1, 2]);
  const other = originOf(8);
  held.set(other, upTo(4));
  let isOwedToo = false;
  store.debts = {
    ...store.debts,
    list: () => (settled.length > 0 ? [] : isOwedToo ? [LOST, other] : [LOST]),
    hasEnded: (origin) => origin === LOST || origin === other,
  };
  const join = store.join.bind(store);
  store.join = (changes, owed) => {
    isOwedToo = true;
    return join(changes, owed);
  };
  const later = config.restitutionEveryMs;
  restitution.onRoundDue([idOf(1)], at(0));
  expect(asked(restitution.onRoundDue([idOf(1)], at(later)))).toEqual([idOf(1)]);
  const holdings = new Map([[originOf(1), upTo(3)], [LOST, upTo(6)], [other, upTo(4)]]); // prettier-ignore
  const basis = new Map([[originOf(1), 3], [LOST, 6], [other, VERSION_MAX]]); // prettier-ignore
  expect(isOver(restitution.onPiece(idOf(1), piece(upTo(6), false, { holdings, basis }), at(later)))).toBe(true);
  expect(settled).toEqual(["settled 6", "settled "]);
});

test("what came of a debtor before is no matter of one that owes nothing and lacks it", () => {
  const { restitution, settled } = debtor([1, 2, 3, 4], Ranges.of(6, 6));
  const later = 3 * config.restitutionEveryMs;
  restitution.onRoundDue([1, 3, 4].map(idOf), at(0));
  const [one] = asked(restitution.onRoundDue([1, 3, 4].map(idOf), at(later)));
  const whole = must([1, 3, 4].map(idOf).find((it) => it !== one), "a peer"); // prettier-ignore
  restitution.noteComparable(whole, true);
  expect(asked(restitution.onPiece(must(one, "a peer"), piece(upTo(6), true), at(later)))).toEqual([whole]);
  expect(isOver(restitution.onPiece(whole, piece(upTo(5)), at(later)))).toBe(false);
  expect(settled).toEqual([]);
});

test("what debtors had only told is no matter of one that owes nothing: that alone speaks for itself", () => {
  const { restitution, settled } = debtor([1, 2, 3, 4]);
  const later = 3 * config.restitutionEveryMs;
  restitution.onRoundDue([1, 3, 4].map(idOf), at(0));
  const [one] = asked(restitution.onRoundDue([1, 3, 4].map(idOf), at(later)));
  const whole = must([1, 3, 4].map(idOf).find((it) => it !== one), "a peer"); // prettier-ignore
  restitution.noteComparable(whole, true);
  expect(asked(restitution.onPiece(must(one, "a peer"), piece(upTo(7), true), at(later)))).toEqual([whole]);
  expect(isOver(restitution.onPiece(whole, piece(upTo(5)), at(later)))).toBe(true);
  expect(settled).toEqual(["settled "]);
});

test("what nobody can apply of a node that was lost before holds up nothing", () => {
  const { store, restitution, settled, held } = debtor([1, 2]);
  const other = originOf(8);
  held.set(other, upTo(4));
  store.debts = { ...store.debts, hasEnded: (origin) => origin === LOST || origin === other };
  store.quarantinedIn = (origin: OriginId) => (origin === other ? Ranges.of(4, 4) : Ranges.empty);
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  const holdings = new Map([[originOf(1), upTo(3)], [LOST, upTo(6)], [other, upTo(3)]]); // prettier-ignore
  const basis = new Map([[originOf(1), 3], [LOST, 6], [other, 4]]); // prettier-ignore
  expect(isOver(restitution.onPiece(idOf(1), piece(upTo(6), false, { holdings, basis }), at(1)))).toBe(true);
  expect(settled).toEqual(["settled 6"]);
});

test("with another roster, what was joined counts no more", () => {
  const { store, restitution, settled } = debtor([1, 2, 3]);
  const later = 2 * config.restitutionEveryMs;
  const peers = [1, 3].map(idOf);
  restitution.onRoundDue(peers, at(0));
  const [one] = asked(restitution.onRoundDue(peers, at(later)));
  restitution.onPiece(must(one, "a peer"), piece(upTo(6), true), at(later));
  store.members = { ...store.members, roster: () => [must(one, "a peer"), idOf(SELF)] };
  expect(restitution.onRoundDue([must(one, "a peer")], at(later))).toEqual([]);
  expect([settled, restitution.isUnderWay]).toEqual([[], false]);
});

test("all of those enlisted have to be there before the first of them is read", () => {
  const { restitution } = debtor([1, 2, 3]);
  const later = config.restitutionEveryMs;
  restitution.onRoundDue([idOf(1)], at(0));
  expect(restitution.onRoundDue([idOf(1)], at(later))).toEqual([]);
  expect(asked(restitution.onRoundDue([1, 3].map(idOf), at(later)))).toHaveLength(1);
});

test("the rows of one that does not hold what was held here count for nothing", () => {
  const { restitution, settled } = debtor([1, 2]);
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  const behind = piece(upTo(6), false, { holdings: new Map([[LOST, upTo(6)]]) });
  expect(restitution.onPiece(idOf(1), behind, at(1))).toEqual([]);
  expect(asked(restitution.onRoundDue([idOf(1)], at(2)))).toEqual([]);
  expect(asked(restitution.onRoundDue([idOf(1)], at(1 + config.restitutionEveryMs)))).toEqual([idOf(1)]);
  restitution.onPiece(idOf(1), piece(upTo(4)), at(2 + config.restitutionEveryMs));
  expect(settled).toEqual([]);
});

test("what was read back from a debtor's rows meanwhile makes it begin anew", () => {
  const { restitution, settled } = debtor([1, 2]);
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  restitution.onRepaired(new Map([[LOST, 5]]), at(1));
  expect(restitution.isUnderWay).toBe(true);
  restitution.onRepaired(new Map([[LOST, VERSION_MAX]]), at(1));
  expect(restitution.onPiece(idOf(1), piece(upTo(6)), at(1))).toEqual([]);
  expect(settled).toEqual([]);
});

test("a piece that was not asked for is not taken for the one that was", () => {
  const { restitution, settled } = debtor([1, 2]);
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  const cursor = new Uint8Array([7]);
  expect(restitution.onPiece(idOf(1), piece(upTo(6), false, { after: cursor }), at(1))).toEqual([]);
  expect(asked(restitution.onPiece(idOf(1), piece(upTo(6), false, { next: cursor }), at(1)))).toEqual([idOf(1)]);
  expect(restitution.onPiece(idOf(1), piece(upTo(6)), at(2))).toEqual([]);
  expect(settled).toEqual([]);
  expect(isOver(restitution.onPiece(idOf(1), piece(upTo(6), false, { after: cursor }), at(3)))).toBe(true);
});

test("where nobody is known to be whole, the first member begins, and the next wait for it", () => {
  const { restitution } = debtor([1, 2, 3, 4]);
  const peers = [0, 1, 3, 4].map(idOf);
  expect(asked(restitution.onRoundDue(peers, at(0)))).toEqual([]);
  expect(asked(restitution.onRoundDue(peers, at(2 * config.restitutionEveryMs - 1)))).toEqual([]);
  expect(asked(restitution.onRoundDue(peers, at(2 * config.restitutionEveryMs)))).toHaveLength(1);
});

test("nothing begins while something else is owed that may still come", () => {
  const { store, restitution } = debtor([1, 2]);
  restitution.noteComparable(idOf(1), true);
  store.basis = () => new Map([[originOf(1), 4], [LOST, VERSION_MAX]]); // prettier-ignore
  expect(restitution.onRoundDue([idOf(1)], at(0))).toEqual([]);
  store.basis = () => new Map([[originOf(1), 3], [LOST, VERSION_MAX]]); // prettier-ignore
  expect(asked(restitution.onRoundDue([idOf(1)], at(1)))).toEqual([idOf(1)]);
});

test("a peer that falls silent holds up nothing, and the next that is asked is another", () => {
  const { restitution } = debtor([1, 2, 3]);
  for (const n of [1, 3]) restitution.noteComparable(idOf(n), true);
  const peers = [1, 3].map(idOf);
  const [one] = asked(restitution.onRoundDue(peers, at(0)));
  expect(restitution.onRoundDue(peers, at(1))).toEqual([]);
  let nowMs = config.gossip.wantTimeoutMs;
  for (; asked(restitution.onRoundDue(peers, at(nowMs))).length > 0; nowMs += config.gossip.wantTimeoutMs);
  expect(restitution.isUnderWay).toBe(false);
  expect(restitution.isAskable(idOf(9))).toBe(true);
  const [other] = asked(restitution.onRoundDue(peers, at(nowMs + config.restitutionEveryMs)));
  expect([one, other].sort()).toEqual(peers);
  expect([restitution.isAskable(idOf(9)), restitution.isAskable(must(one, "a peer"))]).toEqual([false, true]);
  restitution.forgetPeer(must(other, "a peer"));
  expect(restitution.isUnderWay).toBe(false);
});

test("the last one enlisted has nobody's rows to wait for", () => {
  const { restitution, settled, held } = debtor([SELF], Ranges.of(8, 8));
  held.set(LOST, upTo(5, Ranges.of(2, 2)));
  expect(isOver(restitution.onRoundDue([], at(0)))).toBe(true);
  expect(settled).toEqual(["settled 2,6-8"]);
});

test("one that has just joined is alone on its list, and does not take itself for the last", () => {
  const { store, restitution, settled } = debtor([SELF]);
  store.basis = () => new Map([[originOf(1), 4], [LOST, VERSION_MAX]]); // prettier-ignore
  expect(restitution.onRoundDue([idOf(1)], at(0))).toEqual([]);
  expect([settled, restitution.isUnderWay]).toEqual([[], false]);
});

test("a row that could not be joined is no proof's end: while something is owed of its origin, nothing is settled", () => {
  const { store, restitution, settled, held } = debtor([1, 2]);
  const other = originOf(8);
  held.set(other, upTo(4));
  store.debts = { ...store.debts, hasEnded: (origin) => origin === LOST || origin === other };
  const change = { origin: other, version: 9, hlc: 1n, body: new Uint8Array() };
  const refuse = {
    applied: 0,
    rows: [],
    forked: [],
    conflicts: [],
    quarantined: [{ change, reason: "no such table" }],
  };
  store.join = () => refuse;
  restitution.noteComparable(idOf(1), true);
  restitution.onRoundDue([idOf(1)], at(0));
  const holdings = new Map([[originOf(1), upTo(3)], [LOST, upTo(6)], [other, upTo(4)]]); // prettier-ignore
  const first = piece(upTo(6), false, { holdings, next: new Uint8Array([1]) });
  expect(asked(restitution.onPiece(idOf(1), first, at(1)))).toEqual([idOf(1)]);
  store.debts = { ...store.debts, list: () => [LOST, other] };
  const last = piece(upTo(6), false, { holdings, after: new Uint8Array([1]) });
  expect(restitution.onPiece(idOf(1), last, at(2)).some(({ kind }) => kind === "event")).toBe(false);
  expect([settled, restitution.isUnderWay]).toEqual([[], false]);
});

test("a store that is busy when it is to settle is asked again, and nothing is forgotten meanwhile", () => {
  const { store, restitution, settled } = debtor([SELF]);
  const { debts } = store;
  const busy = new AppError("store-busy", "another one writes");
  store.debts = { ...debts, settle: () => { throw busy; } }; // prettier-ignore
  expect(restitution.onRoundDue([], at(0))).toEqual([]);
  store.debts = debts;
  expect(isOver(restitution.onRoundDue([], at(1)))).toBe(true);
  expect(settled).toEqual(["settled "]);
});

test("one that was given up is not asked, since nothing is taken from it", () => {
  const { store, restitution } = debtor([2, 3]);
  store.members = { ...store.members, isNodeEvicted: (node) => node === idOf(1) };
  restitution.noteComparable(idOf(1), true);
  expect(restitution.onRoundDue([idOf(1)], at(0))).toEqual([]);
  expect(restitution.isUnderWay).toBe(false);
});
