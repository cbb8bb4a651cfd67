/**
 * Everybody this node knows, itself included: one record per node id, ever, tombstones among them. Every change of the
 * table goes through `offer`, which holds the three rules that the plain join of `member.ts` does not:
 *
 *   implausible   a boot from the future or a leap of incarnations is refused, for nobody could refute it
 *   unverified    a third party's "it is alive" never raises the dead of the same boot: ask the node itself
 *   expired       a tombstone older than its lifetime is not learned again
 */
import { assert, hash32, type NodeId, type Now } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import { compareMembers, isGone, type Member } from "./member.js";
import type { Rumour } from "./message.js";
import { Rtt } from "./rtt.js";

/** One known node and what this node alone notes about it. */
export interface Known {
  member: Member;
  /** When the node died or left, on our clock. Meaningless while it is there. */
  goneSinceMs: number;
  /** The last evidence that the node lives, from itself. */
  heardMs: number;
  readonly rtt: Rtt;
  readonly lastMs: Record<PoliteAct, number>;
}

/** What is done at most once per interval to one peer. */
export type PoliteAct = "accuse" | "exchange" | "roster";

export type Offer =
  | { readonly kind: "applied"; readonly previous: Member | undefined }
  | { readonly kind: "known" | "stale" | "unverified" | "implausible" | "expired" | "full" };

export class Roster {
  readonly #config: MembershipConfig;
  readonly #known = new Map<NodeId, Known>();
  #self: Member;
  #hash: number;
  #forgotten: NodeId[] = [];
  #present: readonly Member[] | undefined; // A cache: probes and gossip ask far more often than it changes.

  constructor(config: MembershipConfig, self: Member) {
    this.#config = config;
    this.#self = self;
    this.#hash = recordHash(self);
  }

  get self(): Member {
    return this.#self;
  }

  /** Equal rosters, equal hashes, in any order of arrival. A suspicion does not count: it passes by itself. */
  get hash(): number {
    return this.#hash;
  }

  /** Nodes that are there, this one included. */
  get clusterSize(): number {
    return this.present().length + 1;
  }

  get(node: NodeId): Known | undefined {
    return this.#known.get(node);
  }

  /** How many others are known, tombstones included. */
  get size(): number {
    return this.#known.size;
  }

  /** All others, the dead and left too, by node id. */
  all(): Member[] {
    return [...this.#known.values()].map(({ member }) => member).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  /** Alive and suspect others, by node id. */
  present(): readonly Member[] {
    this.#present ??= this.all().filter((member) => !isGone(member));
    return this.#present;
  }

  gone(): Member[] {
    return this.all().filter(isGone);
  }

  /** Takes the record if it wins and may be believed. `firstHand`: the node itself says it, or we do. */
  offer({ member, ageMs = 0 }: Rumour, firstHand: boolean, now: Now): Offer {
    assert(member.nodeId !== this.#self.nodeId, "nobody tells us who we are");
    const known = this.#known.get(member.nodeId);
    if (!this.isPlausible(member, now)) return { kind: "implausible" };
    if (known === undefined) return this.#add(member, ageMs, now);
    const order = compareMembers(member, known.member);
    if (order === 0) {
      known.goneSinceMs = Math.min(known.goneSinceMs, now.monotonicMs - ageMs);
      return { kind: "known" };
    }
    if (order < 0) return { kind: "stale" };
    const sameBoot = member.boot === known.member.boot;
    if (!firstHand && sameBoot && isGone(known.member) && !isGone(member)) return { kind: "unverified" };
    const previous = known.member;
    if (!sameBoot) for (const act of ["accuse", "exchange", "roster"] as const) known.lastMs[act] = -Infinity;
    if (!isGone(previous) || !sameBoot) known.goneSinceMs = now.monotonicMs - ageMs;
    known.member = member;
    this.#swapHash(previous, member);
    return { kind: "applied", previous };
  }

  /** Whether a record, of any node, could be true. Checked before anything in its datagram is believed. */
  isPlausible(member: Member, now: Now): boolean {
    if (member.boot > now.wallMs + this.#config.bootAheadMs) return false;
    const known = member.nodeId === this.#self.nodeId ? this.#self : this.#known.get(member.nodeId)?.member;
    const base = known?.boot === member.boot ? known.incarnation : 0;
    return member.incarnation - base <= this.#config.incarnationJumpMax;
  }

  /** Outbids every accusation up to `incarnation`. */
  refute(incarnation: number): void {
    assert(this.#self.state === "alive", "only the living refute");
    assert(incarnation >= this.#self.incarnation, "an accusation below our incarnation is already refuted");
    this.#setSelf({ ...this.#self, incarnation: incarnation + 1 });
  }

  leave(): void {
    this.#setSelf({ ...this.#self, state: "left" });
  }

  /** True when `act` was not done to the node within `everyMs`; and then it counts as done. */
  may(act: PoliteAct, node: NodeId, everyMs: number, now: Now): boolean {
    const known = this.#known.get(node);
    if (known === undefined || now.monotonicMs - known.lastMs[act] < everyMs) return false;
    known.lastMs[act] = now.monotonicMs;
    return true;
  }

  /** The record as told to others. */
  rumourOf(known: Known, now: Now, accuser?: NodeId): Rumour {
    const { member } = known;
    if (isGone(member)) return { kind: "rumour", member, ageMs: now.monotonicMs - known.goneSinceMs };
    return accuser === undefined ? { kind: "rumour", member } : { kind: "rumour", member, accuser };
  }

  /** Forgets the tombstones whose time is over. */
  reap(now: Now): void {
    for (const known of [...this.#known.values()]) {
      if (isGone(known.member) && now.monotonicMs - known.goneSinceMs >= this.#config.tombstoneMs) this.#drop(known);
    }
  }

  /** Whom it has forgotten since the last call. */
  takeForgotten(): NodeId[] {
    const forgotten = this.#forgotten;
    if (forgotten.length > 0) this.#forgotten = [];
    return forgotten;
  }

  #add(member: Member, ageMs: number, now: Now): Offer {
    if (isGone(member) && ageMs >= this.#config.tombstoneMs) return { kind: "expired" };
    if (this.#known.size >= this.#config.membersMax && !this.#makeRoom()) return { kind: "full" };
    this.#known.set(member.nodeId, {
      member,
      goneSinceMs: now.monotonicMs - ageMs,
      heardMs: -Infinity,
      rtt: new Rtt(),
      lastMs: { accuse: -Infinity, exchange: -Infinity, roster: -Infinity },
    });
    this.#swapHash(undefined, member);
    return { kind: "applied", previous: undefined };
  }

  #makeRoom(): boolean {
    const gone = [...this.#known.values()].filter(({ member }) => isGone(member));
    const oldest = gone.sort((a, b) => a.goneSinceMs - b.goneSinceMs)[0];
    if (oldest !== undefined) this.#drop(oldest);
    return oldest !== undefined;
  }

  #drop(known: Known): void {
    this.#known.delete(known.member.nodeId);
    this.#forgotten.push(known.member.nodeId);
    this.#swapHash(known.member, undefined);
  }

  #setSelf(self: Member): void {
    this.#swapHash(this.#self, self);
    this.#self = self;
  }

  #swapHash(before: Member | undefined, after: Member | undefined): void {
    const removed = before === undefined ? 0 : recordHash(before);
    const added = after === undefined ? 0 : recordHash(after);
    this.#hash = (this.#hash - removed + added) >>> 0;
    this.#present = undefined;
  }
}

function recordHash({ nodeId, boot, incarnation, state, address, meta }: Member): number {
  const settled = state === "suspect" ? "alive" : state;
  return hash32(`${nodeId}|${boot}|${incarnation}|${settled}|${address}|${meta.api}`);
}
