/** One node, spoken to by hand, datagram by datagram. */
import { type NodeId, Rng } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultMembershipConfig } from "./config.js";
import type { Member } from "./member.js";
import { Membership, type MembershipInput } from "./membership.js";
import { decodeDatagram, encodeHeader, encodeMessage, type Message } from "./message.js";
import type { MembershipEffect } from "./outbox.js";

const WALL_MS = 1_700_000_000_000;
const cluster = { name: "iad", generation: 1 };
const nodeIdOf = (index: number): NodeId => (index + 1).toString(16).padStart(32, "0");
const addressOf = (index: number): string => `10.0.0.${index + 1}:7000`;

const peer: Member = {
  nodeId: nodeIdOf(1),
  boot: 1,
  incarnation: 0,
  state: "alive",
  address: addressOf(1),
  meta: { api: "http://n1" },
};
const third: Member = { ...peer, nodeId: nodeIdOf(2), address: addressOf(2) };

function bytesOf(sender: Member, messages: readonly Message[], to = cluster): Uint8Array {
  return Uint8Array.from([encodeHeader(to, sender), ...messages.map(encodeMessage)].flatMap((part) => [...part]));
}

class Conversation {
  nowMs = 0;
  readonly membership = new Membership({
    cluster,
    self: { nodeId: nodeIdOf(0), boot: 5, address: addressOf(0), meta: { api: "http://n0" } },
    seeds: [],
    config: defaultMembershipConfig,
    rng: new Rng(1),
  });

  constructor() {
    this.handle({ kind: "start" });
  }

  handle(input: MembershipInput): MembershipEffect[] {
    return this.membership.handle(input, { monotonicMs: this.nowMs, wallMs: WALL_MS + this.nowMs });
  }

  hear(sender: Member, ...messages: readonly Message[]): MembershipEffect[] {
    return this.handle({ kind: "datagram", from: sender.address, bytes: bytesOf(sender, messages) });
  }

  stateOf(member: Member): Member | undefined {
    return this.membership.members().find(({ nodeId }) => nodeId === member.nodeId);
  }
}

function messagesTo(address: string, effects: readonly MembershipEffect[]): Message[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== "datagram" || effect.to !== address) return [];
    const datagram = decodeDatagram(effect.bytes, cluster, defaultMembershipConfig);
    return datagram === "foreign-cluster" ? [] : datagram.messages;
  });
}

describe("an ack with another roster hash", () => {
  const ack = (seq: number): Message => ({ kind: "ack", seq, rosterHash: 1, lagMs: 0 });
  /** The number of a ping to `peer`, which `third` asks for. */
  const pinged = (talk: Conversation): number => {
    const request = { kind: "ping-request", seq: 9, target: peer.nodeId, address: peer.address } as const;
    const sent = messagesTo(peer.address, talk.hear(third, request));
    return sent.flatMap((each) => (each.kind === "ping" ? [each.seq] : []))[0] ?? -1;
  };
  const mismatch = (talk: Conversation): string[] => {
    const effects = talk.hear(peer, ack(pinged(talk)));
    return messagesTo(peer.address, effects).map(({ kind }) => kind);
  };

  test("that answers none of our pings, or another's, is not read", () => {
    const talk = new Conversation();
    talk.hear(peer);
    const seq = pinged(talk);
    const [own, others, lagging] = [ack(seq), ack(seq + 1), { ...ack(seq + 1), lagMs: 60_000 } as Message];
    expect([talk.hear(peer, others), talk.hear(peer, lagging), talk.hear(third, own)]).toEqual([[], [], []]);
    expect(messagesTo(peer.address, talk.hear(peer, own)).map(({ kind }) => kind)).toContain("roster-request");
  });

  test("has both rosters exchanged, and not again with that peer for a while", () => {
    const talk = new Conversation();
    talk.hear(third);
    expect(mismatch(talk)).toEqual(["roster-request", "rumour", "rumour"]);
    talk.nowMs += defaultMembershipConfig.exchangeIntervalMs - 1;
    expect(mismatch(talk)).toEqual([]);
    talk.nowMs += defaultMembershipConfig.exchangeAnywayMs;
    expect(mismatch(talk)).toEqual(["roster-request", "rumour", "rumour"]);
  });
});

describe("an accused node", () => {
  test("refutes with the accusation's incarnation plus one, and doubts itself a little more", () => {
    const talk = new Conversation();
    const accused: Member = { ...talk.membership.self(), incarnation: 3, state: "suspect" };
    const effects = talk.hear(peer, { kind: "rumour", member: accused, accuser: third.nodeId });
    expect(talk.membership.self()).toMatchObject({ incarnation: 4, state: "alive" });
    expect(talk.membership.localHealth).toBe(1);
    const reply = effects.find((effect) => effect.kind === "datagram" && effect.to === peer.address);
    expect(reply).toBeDefined();
  });

  test("is not moved by an accusation of a former boot", () => {
    const talk = new Conversation();
    talk.hear(peer, { kind: "rumour", member: { ...talk.membership.self(), boot: 4, incarnation: 9, state: "dead" } });
    expect(talk.membership.self().incarnation).toBe(0);
  });

  test.each(["dead", "left"] as const)("that hears of a later start of itself, %s, says that it must end", (state) => {
    const talk = new Conversation();
    const later: Member = { ...talk.membership.self(), boot: 9, state };
    expect(talk.hear(peer, { kind: "rumour", member: later })).toContainEqual({ kind: "outlived", boot: 9 });
  });

  test("that hears of a later start of itself, alive, takes it for another's, and goes on", () => {
    const talk = new Conversation();
    const later: Member = { ...talk.membership.self(), boot: 9 };
    const kinds = talk.hear(peer, { kind: "rumour", member: later }).map(({ kind }) => kind);
    expect(kinds).toContain("refused");
    expect(kinds).not.toContain("outlived");
  });

  test("is not driven out of reach by an incarnation that nobody could refute", () => {
    const talk = new Conversation();
    const member: Member = { ...talk.membership.self(), incarnation: 2 ** 40, state: "dead" };
    const effects = talk.hear(peer, { kind: "rumour", member });
    expect(effects).toContainEqual({ kind: "refused", from: peer.address, reason: "implausible" });
    expect(talk.membership.self().incarnation).toBe(0);
  });
});

describe("hearsay", () => {
  test("that a known dead node is alive raises nobody, but makes us ask; its own word does", () => {
    const talk = new Conversation();
    talk.hear(peer, { kind: "rumour", member: { ...third, state: "dead" }, ageMs: 0 });
    expect(talk.stateOf(third)?.state).toBe("dead");
    const effects = talk.hear(peer, { kind: "rumour", member: { ...third, incarnation: 1 } });
    expect(talk.stateOf(third)?.state).toBe("dead");
    expect(messagesTo(third.address, effects).map(({ kind }) => kind)).toContain("ping");
    talk.hear({ ...third, incarnation: 1 });
    expect(talk.stateOf(third)?.state).toBe("alive");
  });

  test("that a present node is dead is one accusation, which the node can refute", () => {
    const talk = new Conversation();
    talk.hear(third);
    const effects = talk.hear(peer, { kind: "rumour", member: { ...third, state: "dead" }, ageMs: 0 });
    expect(talk.stateOf(third)?.state).toBe("suspect");
    expect(messagesTo(third.address, effects)).toContainEqual(
      expect.objectContaining({ kind: "rumour", member: { ...third, state: "suspect" } }),
    );
    talk.hear({ ...third, incarnation: 1 });
    expect(talk.stateOf(third)?.state).toBe("alive");
  });

  test("of a death long past its tombstone's lifetime is not learned again", () => {
    const talk = new Conversation();
    const ageMs = defaultMembershipConfig.tombstoneMs;
    talk.hear(peer, { kind: "rumour", member: { ...third, state: "dead" }, ageMs });
    expect(talk.stateOf(third)).toBeUndefined();
  });
});

describe("a node that does not know it was buried", () => {
  test("is told, at most once a second, with the record that stands against it", () => {
    const talk = new Conversation();
    talk.hear(peer, { kind: "rumour", member: { ...third, state: "dead" }, ageMs: 0 });
    const told = (): number => {
      return messagesTo(third.address, talk.hear(third)).filter((message) => {
        return message.kind === "rumour" && message.member.nodeId === third.nodeId && message.member.state === "dead";
      }).length;
    };
    expect(told()).toBe(1);
    talk.nowMs += 999;
    expect(told()).toBe(0);
    talk.nowMs += 1;
    expect(told()).toBe(1);
    expect(talk.stateOf(third)?.state).toBe("dead");
  });
});

describe("members that are silent at once", () => {
  test("are not asked to reach each other, while there is anybody else", () => {
    const talk = new Conversation();
    const peers = [1, 2, 3, 4, 5, 6].map((n): Member => ({ ...peer, nodeId: nodeIdOf(n), address: addressOf(n) }));
    for (const it of peers) talk.hear(it);
    const sent = (effects: readonly MembershipEffect[], kind: Message["kind"]): Member[] =>
      peers.filter(({ address }) => messagesTo(address, effects).some((message) => message.kind === kind));
    talk.nowMs = 1_000;
    const pings = talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 1_000 } });
    const silent = sent(pings, "ping");
    expect(silent.length).toBe(defaultMembershipConfig.probesPerInterval);
    talk.nowMs += defaultMembershipConfig.directTimeoutMaxMs;
    const due = pings.flatMap((it) => (it.kind === "wake" && it.timer.kind === "direct" ? [it.timer] : []));
    const helpers = due.flatMap((timer) => sent(talk.handle({ kind: "wake", timer }), "ping-request"));
    expect(helpers.length).toBe(silent.length * defaultMembershipConfig.helpersMax);
    expect(helpers.filter((it) => silent.includes(it))).toEqual([]);
  });
});

describe("a wake", () => {
  test.each([
    [0, "suspect"],
    [251, "alive"],
  ] as const)("that ends a silent probe %i ms late finds the member %s", (lateMs, state) => {
    const talk = new Conversation();
    talk.hear(peer);
    talk.nowMs = 1_000;
    talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 1_000 } }); // Begins to probe the one peer.
    talk.nowMs = 2_000 + lateMs;
    talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 2_000 } });
    expect(talk.stateOf(peer)?.state).toBe(state);
    expect(talk.membership.localHealth).toBe(1);
  });

  test("that would bury a suspect, but comes late, leaves it time for a refutation that is still unread", () => {
    const talk = new Conversation();
    talk.hear(peer);
    for (const atMs of [1_000, 2_000]) {
      talk.nowMs = atMs;
      talk.handle({ kind: "wake", timer: { kind: "probe", atMs } });
    }
    expect(talk.stateOf(peer)?.state).toBe("suspect");
    const dueMs = 2_000 + defaultMembershipConfig.suspicionMinMs;
    talk.nowMs = dueMs + 3_000;
    talk.handle({ kind: "wake", timer: { kind: "suspicion", atMs: dueMs, node: peer.nodeId } });
    expect(talk.stateOf(peer)?.state).toBe("suspect");
    talk.hear({ ...peer, incarnation: 1 });
    expect(talk.stateOf(peer)?.state).toBe("alive");
  });

  test.each([1, 2, 3, 9])("that begins a round probes at most three of %i members, none of them twice", (count) => {
    const talk = new Conversation();
    const peers = Array.from({ length: count }, (_, i) => ({
      ...peer,
      nodeId: nodeIdOf(1 + i),
      address: addressOf(1 + i),
    }));
    for (const each of peers) talk.hear(each);
    for (let atMs = 1_000; atMs <= 5_000; atMs += 1_000) {
      talk.nowMs = atMs;
      for (const each of peers) talk.hear(each, { kind: "ping", seq: 1, target: nodeIdOf(0), rosterHash: 0 });
      const effects = talk.handle({ kind: "wake", timer: { kind: "probe", atMs } });
      const pinged = peers.map(
        ({ address }) => messagesTo(address, effects).filter(({ kind }) => kind === "ping").length,
      );
      expect(Math.max(...pinged)).toBe(1);
      const probed = pinged.filter((pings) => pings > 0).length;
      expect(probed).toBeGreaterThan(0);
      expect(probed).toBeLessThanOrEqual(Math.min(count, defaultMembershipConfig.probesPerInterval));
      if (count === 9) expect(probed).toBe(defaultMembershipConfig.probesPerInterval); // A third of a cycle.
    }
  });

  test("that is stale does nothing", () => {
    const talk = new Conversation();
    talk.hear(peer);
    talk.nowMs = 100;
    expect(talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 77 } })).toEqual([]);
    expect(talk.handle({ kind: "wake", timer: { kind: "direct", atMs: 100, seq: 1 } })).toEqual([]);
    expect(talk.handle({ kind: "wake", timer: { kind: "suspicion", atMs: 100, node: peer.nodeId } })).toEqual([]);
  });

  test("finds a member alive that was heard on a stream, though it answered no probe", () => {
    const talk = new Conversation();
    talk.hear(peer);
    talk.nowMs = 1_000;
    talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 1_000 } });
    talk.nowMs = 1_500;
    talk.handle({ kind: "heard", node: peer.nodeId });
    talk.nowMs = 2_000;
    talk.handle({ kind: "wake", timer: { kind: "probe", atMs: 2_000 } });
    expect(talk.stateOf(peer)?.state).toBe("alive");
  });
});

describe("a datagram that is refused", () => {
  const refusedAs = (bytes: Uint8Array): unknown => {
    const talk = new Conversation();
    const before = [talk.membership.self(), talk.membership.members()];
    const effects = talk.handle({ kind: "datagram", from: "9.9.9.9:9", bytes });
    expect([talk.membership.self(), talk.membership.members()]).toEqual(before);
    expect(effects).toHaveLength(1);
    return effects[0]?.kind === "refused" ? effects[0].reason : effects[0];
  };
  const ping: Message = { kind: "ping", seq: 1, target: nodeIdOf(0), rosterHash: 0 };

  test.each([
    ["foreign-cluster", bytesOf(peer, [ping], { name: "fra", generation: 1 })],
    ["foreign-cluster", bytesOf(peer, [ping], { name: "iad", generation: 2 })],
    ["malformed", bytesOf(peer, [ping]).slice(0, -1)],
    ["oversized", new Uint8Array(1_201)],
    ["misdirected", bytesOf(peer, [{ ...ping, target: third.nodeId }])],
    ["implausible", bytesOf({ ...peer, boot: WALL_MS + 60_001 }, [ping])],
    ["implausible", bytesOf({ ...peer, incarnation: 2 ** 20 + 1 }, [ping])],
    ["implausible", bytesOf({ ...peer, nodeId: nodeIdOf(0), boot: 6 }, [])],
  ])("as %s changes nothing", (reason, bytes) => {
    expect(refusedAs(bytes)).toBe(reason);
  });

  test("because it is noise changes nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_300 }), (bytes) => {
        expect(["malformed", "oversized", "foreign-cluster"]).toContain(refusedAs(bytes));
      }),
    );
  });
});
