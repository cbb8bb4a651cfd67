/**
 * A light world: membership alone, of a few nodes or a thousand, in virtual time. There is no data and no disk, so hours of a
 * large cluster take seconds. Nodes are named by index; all of them follow the production class and its codec.
 */
import { type ClusterId, must, type NodeId, Rng } from "@patina/base";
import { defaultMembershipConfig, type Member, Membership, type MembershipConfig, type MembershipEffect, type MembershipInput } from "@patina/membership"; // prettier-ignore
import { Paths } from "../network/paths.js";
import type { Direction } from "../plan/fault.js";
import { type NetworkConditions, PERFECT_NETWORK } from "../plan/plan.js";
import { EventQueue } from "../world/event-queue.js";

export interface CrowdOptions {
  readonly size: number;
  readonly seed: number;
  readonly config?: MembershipConfig;
  readonly conditions?: NetworkConditions;
  /** The boot number of a node's next process, by default one more than the last, as on a disk. */
  readonly nextBoot?: (last: number) => number;
  /** Members exchange frames on streams this often, and take them for signs of life; by default there are no streams. */
  readonly framesEveryMs?: number;
}

/** What some node came to believe of another. */
export interface Sighting {
  readonly atMs: number;
  readonly by: number;
  readonly of: number;
  readonly member: Member;
  /** What made it believe so: a datagram is another's word. */
  readonly from: MembershipInput["kind"];
}

export const CROWD_CLUSTER: ClusterId = { name: "crowd", generation: 1 };
const EPOCH_MS = 1_790_000_000_000;
/** Datagrams that libuv reads in one turn, between which timers run. */
const READS_PER_TURN = 32;
const TURN_MS = 0.1;
/** Up to so many members, each has a stream to each; beyond, to its group and its contacts. */
const DIRECT_MEMBERS_MAX = 64;
/** How long after its end a process is redialed. */
const REDIALED_MS = [100, 400] as const;

type Due =
  | { readonly kind: "input"; readonly node: number; readonly life: number; readonly input: MembershipInput }
  | { readonly kind: "frames" };

interface Node {
  membership: Membership | undefined;
  boot: number;
  life: number;
  stalledUntilMs: number;
  /** Datagrams that waited for the end of the stall. */
  waiting: number;
}

export class Crowd {
  readonly size: number;
  readonly seen: Sighting[] = [];
  readonly paths: Paths;
  /** By node, datagrams it sent. */
  readonly sent: number[] = [];
  nowMs = 0;
  readonly #options: CrowdOptions;
  readonly #rng: Rng;
  readonly #nodes: Node[];
  readonly #indices = new Map<NodeId, number>();
  readonly #queue = new EventQueue<Due>();

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.size = options.size;
    this.#rng = new Rng(options.seed);
    this.paths = new Paths(this.#rng.fork(), options.conditions ?? PERFECT_NETWORK);
    this.#nodes = Array.from({ length: options.size }, () => ({
      membership: undefined,
      boot: 0,
      life: 0,
      stalledUntilMs: 0,
      waiting: 0,
    }));
    this.#nodes.forEach((_, node) => this.#indices.set(nodeIdOf(node), node));
    for (let node = 0; node < options.size; node++) this.start(node);
    if (options.framesEveryMs !== undefined) this.#queue.push(options.framesEveryMs, { kind: "frames" });
  }

  node(index: number): Membership {
    return must(this.#nodes[index]?.membership, `node ${index} runs`);
  }

  isUp(index: number): boolean {
    return this.#nodes[index]?.membership !== undefined;
  }

  /** Nodes that run. */
  get up(): number[] {
    return this.#nodes.flatMap(({ membership }, index) => (membership === undefined ? [] : [index]));
  }

  start(index: number, remembered: readonly Member[] = []): void {
    const node = must(this.#nodes[index], "a node");
    node.boot = (this.#options.nextBoot ?? ((last) => last + 1))(node.boot);
    node.life++;
    node.stalledUntilMs = 0;
    const address = crowdAddress(index);
    node.membership = new Membership({
      cluster: CROWD_CLUSTER,
      self: { nodeId: nodeIdOf(index), boot: node.boot, address, meta: { api: `http://${address}` } },
      seeds: [crowdAddress(0), crowdAddress(1)],
      remembered,
      config: this.#options.config ?? defaultMembershipConfig,
      rng: this.#rng.fork(),
    });
    this.give(index, { kind: "start" });
  }

  /** It is gone without a word, with its timers and what is on its way to it. */
  crash(index: number): void {
    const node = must(this.#nodes[index], "a node");
    node.membership = undefined;
    node.life++;
  }

  /** Its process is gone, its machine is not: members with a stream to it find it broken, redial, and are refused. */
  kill(index: number): void {
    this.crash(index);
    const linked = this.#rng.shuffle(this.up).slice(0, this.size <= DIRECT_MEMBERS_MAX ? this.size : 3 * Math.sqrt(this.size)); // prettier-ignore
    for (const by of linked) {
      this.#schedule(by, this.nowMs + this.#rng.between(...REDIALED_MS), {
        kind: "unreachable",
        node: nodeIdOf(index),
      });
    }
  }

  /** Nothing runs until then; afterwards timers come first, then what has been received, a few datagrams a turn. */
  stall(index: number, forMs: number): void {
    const node = must(this.#nodes[index], "a node");
    node.stalledUntilMs = this.nowMs + forMs;
    node.waiting = 0;
  }

  partition(cut: readonly Direction[]): void {
    this.paths.partition(cut);
  }

  /** Cuts a node off, both ways or only what it sends. */
  isolate(index: number, isOneWay = false): void {
    const others = Array.from({ length: this.size }, (_, i) => i).filter((i) => i !== index);
    this.partition(
      others.flatMap((i): Direction[] =>
        isOneWay
          ? [[i, index]]
          : [
              [i, index],
              [index, i],
            ],
      ),
    );
  }

  give(index: number, input: MembershipInput): readonly MembershipEffect[] {
    const { membership } = must(this.#nodes[index], "a node");
    const effects =
      membership?.handle(input, { monotonicMs: this.nowMs, wallMs: EPOCH_MS + Math.floor(this.nowMs) }) ?? [];
    for (const effect of effects) this.#perform(index, effect, input.kind);
    return effects;
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (let next = this.#queue.pop(); next !== undefined; next = this.#queue.pop()) {
      if (next.atMs > endMs) {
        this.#queue.pushBack(next);
        break;
      }
      this.nowMs = next.atMs;
      if (next.item.kind === "frames") this.#exchangeFrames();
      else this.#step(next.item);
    }
    this.nowMs = endMs;
  }

  /** Runs until it is so, looking every so often; false when it is still not after `withinMs`. */
  runUntil(isSo: () => boolean, withinMs: number, everyMs = 100): boolean {
    const endMs = this.nowMs + withinMs;
    while (!isSo()) {
      if (this.nowMs >= endMs) return false;
      this.run(everyMs);
    }
    return true;
  }

  /** Does every running node see all running ones alive, as they are now, and nobody else? */
  get isOne(): boolean {
    const boots = new Map(this.up.map((index) => [nodeIdOf(index), this.#nodes[index]?.boot]));
    return this.up.every((index) => {
      const present = this.node(index).aliveMembers();
      return (
        present.length === boots.size - 1 &&
        present.every(({ nodeId, boot, state }) => state === "alive" && boots.get(nodeId) === boot)
      );
    });
  }

  /** Burials of processes that ran at that moment. */
  readonly falseDeaths: Sighting[] = [];

  #step(due: Extract<Due, { kind: "input" }>): void {
    const node = must(this.#nodes[due.node], "a node");
    if (node.life !== due.life) return;
    if (node.stalledUntilMs > this.nowMs) {
      const turn = due.input.kind === "wake" ? 0 : 1 + Math.floor(node.waiting++ / READS_PER_TURN);
      return this.#queue.push(node.stalledUntilMs + turn * TURN_MS, due);
    }
    this.give(due.node, due.input);
  }

  #perform(from: number, effect: MembershipEffect, cause: MembershipInput["kind"]): void {
    switch (effect.kind) {
      case "wake":
        return this.#schedule(from, this.nowMs + effect.afterMs, { kind: "wake", timer: effect.timer });
      case "datagram": {
        this.sent[from] = (this.sent[from] ?? 0) + 1;
        const to = indexOf(effect.to);
        const input: MembershipInput = { kind: "datagram", from: crowdAddress(from), bytes: effect.bytes };
        for (const atMs of this.paths.datagramArrivals(from, to, this.nowMs)) this.#schedule(to, atMs, input);
        return;
      }
      case "member":
        return this.#note(from, effect.member, cause);
      case "refused":
      case "outlived":
      case "forgotten":
      case "fitness":
        return;
    }
  }

  #note(by: number, member: Member, from: MembershipInput["kind"]): void {
    const of = this.#indices.get(member.nodeId) ?? -1;
    const sighting = { atMs: this.nowMs, by, of, member, from };
    this.seen.push(sighting);
    const node = this.#nodes[of];
    if (member.state === "dead" && node?.membership !== undefined && node.boot === member.boot)
      this.falseDeaths.push(sighting);
  }

  #schedule(node: number, atMs: number, input: MembershipInput): void {
    const { life } = this.#nodes[node] ?? {};
    if (life !== undefined) this.#queue.push(atMs, { kind: "input", node, life, input });
  }

  /** Of all pairs that reach each other, each hears the other's frames, if nothing stands still. */
  #exchangeFrames(): void {
    for (const by of this.up) {
      for (const of of this.up) {
        const isStalled = [by, of].some((it) => (this.#nodes[it]?.stalledUntilMs ?? 0) > this.nowMs);
        if (by !== of && !isStalled && this.paths.areJoined(by, of))
          this.give(by, { kind: "heard", node: nodeIdOf(of) });
      }
    }
    this.#queue.push(this.nowMs + (this.#options.framesEveryMs ?? Infinity), { kind: "frames" });
  }
}

export function nodeIdOf(index: number): NodeId {
  return (index + 1).toString(16).padStart(32, "0");
}

export function crowdAddress(index: number): string {
  return `crowd-${index}:7000`;
}

function indexOf(address: string): number {
  return Number(/^crowd-(\d+):/.exec(address)?.[1] ?? -1);
}
