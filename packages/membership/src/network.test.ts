/** Whole clusters in virtual time: what becomes of them under loss, crashes, stalls and partitions. */
import { type NodeId, Rng } from "@patina/base";
import { describe, expect, test } from "vitest";
import { defaultMembershipConfig, type MembershipConfig, testMembershipConfig } from "./config.js";
import type { Member } from "./member.js";
import { Membership, type MembershipInput } from "./membership.js";
import type { MembershipEffect } from "./outbox.js";

const WALL_MS = 1_700_000_000_000;
const cluster = { name: "iad", generation: 1 };
const nodeIdOf = (index: number): NodeId => (index + 1).toString(16).padStart(32, "0");
const addressOf = (index: number): string => `10.0.0.${index + 1}:7000`;

interface Seen {
  readonly atMs: number;
  readonly by: number;
  readonly member: Member;
}

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly node: number;
  readonly life: number;
  readonly input: MembershipInput;
}

/** Memberships on a lossy network in virtual time: everything that happens follows from the seed. */
class Network {
  readonly seen: Seen[] = [];
  readonly sizes: number[] = [];
  lossRate = 0;
  /** Whether a datagram from one node reaches another. */
  connected: (from: number, to: number) => boolean = () => true;
  /** Somebody who listens, and can play back what was sent. */
  overhears: (from: number, to: number, bytes: Uint8Array) => void = () => undefined;
  /** Nothing is refused where nobody plays tricks. */
  mayRefuse = false;
  nowMs = 0;
  readonly #config: MembershipConfig;
  readonly #rng: Rng;
  readonly #nodes = new Map<number, Membership>();
  readonly #lives = new Map<number, number>();
  readonly #stalledUntilMs = new Map<number, number>();
  #due: Due[] = [];
  #order = 0;

  constructor(size: number, config: MembershipConfig, seed = 1) {
    this.#config = config;
    this.#rng = new Rng(seed);
    for (let node = 0; node < size; node++) this.boot(node, 1);
  }

  node(index: number): Membership {
    const node = this.#nodes.get(index);
    if (node === undefined) throw new Error(`node ${index} is down`);
    return node;
  }

  boot(index: number, boot: number, remembered: readonly Member[] = []): void {
    this.crash(index);
    const self = { nodeId: nodeIdOf(index), boot, address: addressOf(index), meta: { api: `http://n${index}` } };
    const options = { cluster, self, seeds: [addressOf(0)], remembered, config: this.#config, rng: this.#rng.fork() };
    this.#nodes.set(index, new Membership(options));
    this.step(index, { kind: "start" });
  }

  /** Its timers and what is on the way to it are lost. */
  crash(index: number): void {
    this.#nodes.delete(index);
    this.#lives.set(index, (this.#lives.get(index) ?? 0) + 1);
  }

  /** Nothing is read or woken until then; afterwards timers come before datagrams, as in libuv. */
  stall(index: number, forMs: number): void {
    this.#stalledUntilMs.set(index, this.nowMs + forMs);
  }

  step(index: number, input: MembershipInput): readonly MembershipEffect[] {
    const now = { monotonicMs: this.nowMs, wallMs: WALL_MS + this.nowMs };
    const effects = this.node(index).handle(input, now);
    for (const effect of effects) this.#perform(index, effect);
    return effects;
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (let due = this.#take(endMs); due !== undefined; due = this.#take(endMs)) {
      this.nowMs = Math.max(this.nowMs, due.atMs);
      if (this.#lives.get(due.node) !== due.life || !this.#nodes.has(due.node)) continue;
      const stalledUntilMs = this.#stalledUntilMs.get(due.node) ?? 0;
      if (stalledUntilMs > this.nowMs) {
        this.#put({ ...due, atMs: stalledUntilMs + (due.input.kind === "wake" ? 0 : 1) });
      } else this.step(due.node, due.input);
    }
    this.nowMs = endMs;
  }

  /** What each running node believes of each other, as `state` letters by node index: `aa-d`. */
  beliefs(): string[] {
    return [...this.#nodes].map(([index, node]) => {
      const states = new Map(node.members().map(({ nodeId, state }) => [nodeId, state]));
      const letters = [...this.#lives.keys()].map((other) => {
        return other === index ? "-" : (states.get(nodeIdOf(other))?.[0] ?? "?");
      });
      return letters.join("");
    });
  }

  deaths(): Seen[] {
    return this.seen.filter(({ member }) => member.state === "dead");
  }

  #perform(from: number, effect: MembershipEffect): void {
    if (effect.kind === "wake") {
      const input: MembershipInput = { kind: "wake", timer: effect.timer };
      this.#schedule(from, effect.afterMs, input);
    } else if (effect.kind === "datagram") {
      this.sizes.push(effect.bytes.length);
      const to = [...this.#lives.keys()].find((index) => addressOf(index) === effect.to);
      if (to === undefined || this.#rng.chance(this.lossRate) || !this.connected(from, to)) return;
      this.overhears(from, to, effect.bytes);
      const input: MembershipInput = { kind: "datagram", from: addressOf(from), bytes: effect.bytes };
      this.#schedule(to, this.#rng.between(0.2, 3), input);
    } else if (effect.kind === "member") this.seen.push({ atMs: this.nowMs, by: from, member: effect.member });
    else if (effect.kind === "refused" && !this.mayRefuse)
      throw new Error(`refused ${effect.reason} from ${effect.from}`);
  }

  #schedule(node: number, afterMs: number, input: MembershipInput): void {
    const life = this.#lives.get(node) ?? 0;
    this.#put({ atMs: this.nowMs + afterMs, order: this.#order++, node, life, input });
  }

  #put(due: Due): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#due[middle];
      const later = other !== undefined && (other.atMs - due.atMs || other.order - due.order) > 0;
      if (later) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
  }

  #take(endMs: number): Due | undefined {
    return (this.#due.at(-1)?.atMs ?? Infinity) <= endMs ? this.#due.pop() : undefined;
  }
}

const ALL_ALIVE = ["-aaaa", "a-aaa", "aa-aa", "aaa-a", "aaaa-"];

describe("five nodes", () => {
  test("find each other through one seed within two seconds", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(2_000);
    expect(network.beliefs()).toEqual(ALL_ALIVE);
  });

  test("all learn of a crash, and of nobody else's", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    network.crash(3);
    network.run(30_000);
    expect(network.beliefs()).toEqual(["-aada", "a-ada", "aa-da", "aaad-"]);
    expect(
      network
        .deaths()
        .map(({ by }) => by)
        .sort((a, b) => a - b),
    ).toEqual([0, 1, 2, 4]);
    const lastMs = Math.max(...network.deaths().map(({ atMs }) => atMs));
    expect(lastMs).toBeGreaterThan(10_000 + defaultMembershipConfig.suspicionMinMs);
    expect(lastMs).toBeLessThan(10_000 + 15_000);
  });

  test("are not kept from finding one dead by what it once sent to others of them", () => {
    const network = new Network(5, defaultMembershipConfig);
    const recorded: { readonly to: number; readonly bytes: Uint8Array }[] = [];
    network.overhears = (from, to, bytes) => void (from === 3 && recorded.push({ to, bytes }));
    network.run(10_000);
    network.crash(3);
    network.mayRefuse = true;
    for (let i = 0; i < 300; i++) {
      // Each of the others gets, ten times a second, what went to another than itself.
      for (const index of [0, 1, 2, 4]) {
        const bytes = recorded.filter(({ to }) => to !== index).at(-1 - (i % 30))?.bytes ?? new Uint8Array();
        network.step(index, { kind: "datagram", from: addressOf(3), bytes });
      }
      network.run(100);
    }
    const times = network.deaths().map(({ atMs }) => atMs);
    expect(times).toHaveLength(4);
    expect(Math.max(...times)).toBeLessThan(10_000 + 15_000);
  });

  test.each([1, 2, 3])("lose one datagram in twenty for ten minutes and bury nobody (seed %i)", (seed) => {
    const network = new Network(5, defaultMembershipConfig, seed);
    network.lossRate = 0.05;
    network.run(600_000);
    expect(network.deaths()).toEqual([]);
    network.lossRate = 0;
    network.run(30_000);
    expect(network.beliefs()).toEqual(ALL_ALIVE);
  });

  test.each([1, 2, 3])("part in two, bury each other, and meet again without burying more (seed %i)", (seed) => {
    const network = new Network(5, defaultMembershipConfig, seed);
    network.run(10_000);
    network.connected = (from, to) => from < 2 === to < 2;
    network.run(120_000);
    expect(network.beliefs()).toEqual(["-addd", "a-ddd", "dd-aa", "dda-a", "ddaa-"]);
    const burials = network.deaths().length;
    network.connected = () => true;
    network.run(60_000);
    expect(network.beliefs()).toEqual(ALL_ALIVE);
    expect(network.deaths().length).toBe(burials);
  });

  test("take a restarted node back at once, though they buried it", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    network.crash(3);
    network.run(30_000);
    network.boot(3, 2);
    network.run(2_000);
    expect(network.beliefs().sort()).toEqual([...ALL_ALIVE].sort());
    expect(
      network
        .node(0)
        .members()
        .find(({ nodeId }) => nodeId === nodeIdOf(3))?.boot,
    ).toBe(2);
  });

  test("see a node leave at once, and do not call it dead later", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    network.step(2, { kind: "leave" });
    network.run(1_000);
    expect([0, 1, 3, 4].map((index) => network.node(index).members()[index < 2 ? 1 : 2]?.state)).toEqual([
      "left",
      "left",
      "left",
      "left",
    ]);
    network.run(60_000);
    expect(network.deaths()).toEqual([]);
  });

  test("bury nobody when one stalls again and again for longer than a probe", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    for (let i = 0; i < 10; i++) {
      network.stall(1, 3_000);
      network.run(12_000);
    }
    expect(network.deaths()).toEqual([]);
    const accusedByStalled = network.seen.filter(({ by, member }) => by === 1 && member.state === "suspect");
    expect(accusedByStalled.filter(({ member }) => member.nodeId !== nodeIdOf(1))).toEqual([]);
  });

  test("reach a member through helpers when one path is broken", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    network.connected = (from, to) => !((from === 0 && to === 1) || (from === 1 && to === 0));
    network.run(120_000);
    expect(network.seen.filter(({ member }) => member.state === "suspect")).toEqual([]);
  });

  test("keep every datagram within the limit, and converge with tiny limits too", () => {
    const network = new Network(12, testMembershipConfig);
    network.lossRate = 0.02;
    network.run(20_000);
    network.lossRate = 0;
    network.run(5_000);
    expect(Math.max(...network.sizes)).toBeLessThanOrEqual(testMembershipConfig.datagramBytesMax);
    expect(network.beliefs().filter((belief) => !/^a*-a*$/.test(belief))).toEqual([]);
  });

  test("do the same again with the same seed", () => {
    const trace = (): unknown => {
      const network = new Network(5, defaultMembershipConfig, 7);
      network.lossRate = 0.2;
      network.run(60_000);
      return [network.seen, network.sizes];
    };
    expect(trace()).toEqual(trace());
  });
});

describe("two halves whose seed is gone", () => {
  test("meet again because each keeps calling its dead", () => {
    const network = new Network(5, defaultMembershipConfig);
    network.run(10_000);
    network.crash(0);
    network.run(30_000);
    network.connected = (from, to) => from < 3 === to < 3;
    network.run(120_000);
    expect(network.beliefs()).toEqual(["d-add", "da-dd", "ddd-a", "ddda-"]);
    network.connected = () => true;
    network.run(60_000);
    expect(network.beliefs()).toEqual(["d-aaa", "da-aa", "daa-a", "daaa-"]);
  });
});

test("two halves of a large cluster meet again within a second or two: who is said to be back is asked at once", () => {
  const network = new Network(30, defaultMembershipConfig);
  network.run(10_000);
  network.connected = (from, to) => from < 15 === to < 15;
  network.run(900_000); // Cut off from so many, they bury one in half a minute.
  expect(network.beliefs().every((belief) => belief.split("d").length - 1 === 15)).toBe(true);
  network.connected = () => true;
  network.run(defaultMembershipConfig.reconnectIntervalMs + 1_000);
  expect(network.beliefs().every((belief) => !belief.includes("d"))).toBe(true);
});

describe("a restarted node", () => {
  test("calls the members it remembers when its seed is gone", () => {
    const network = new Network(4, defaultMembershipConfig);
    network.run(5_000);
    const remembered = network.node(3).members();
    network.crash(0);
    network.boot(3, 2, remembered);
    network.run(3_000);
    expect(
      network
        .node(3)
        .aliveMembers()
        .map(({ nodeId }) => nodeId),
    ).toContain(nodeIdOf(1));
  });
});

describe("tombstones", () => {
  test("are forgotten when their time is over, and not before", () => {
    const network = new Network(3, testMembershipConfig);
    network.run(1_000);
    network.crash(2);
    network.run(20_000);
    expect(network.beliefs()).toEqual(["-ad", "a-d"]);
    network.run(testMembershipConfig.tombstoneMs);
    expect(network.beliefs()).toEqual(["-a?", "a-?"]);
  });
});

test("a node cut off from everybody does not accuse everybody", () => {
  const network = new Network(24, defaultMembershipConfig);
  network.run(10_000);
  network.connected = (from, to) => from !== 5 && to !== 5;
  network.run(60_000);
  const accused = network.seen.filter(
    ({ by, member, atMs }) => by === 5 && member.state === "suspect" && atMs > 10_000,
  );
  expect(network.node(5).localHealth).toBe(defaultMembershipConfig.localHealthMax);
  expect(accused.length).toBeLessThanOrEqual(9);
});
