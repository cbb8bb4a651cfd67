/**
 * Everything a step sends and schedules, collected until the step returns it. Fills each datagram with rumours up to its
 * limit, and remembers which periodic timer is the current one, so that any other is a no-op.
 */
import { assert, type ClusterId, type NodeId, type Now, type Rng } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import { Dissemination } from "./dissemination.js";
import { isGone, type Member, type MemberState } from "./member.js";
import { encodeHeader, encodeMessage, type Message } from "./message.js";
import type { Roster } from "./roster.js";

type Periodic = "probe" | "gossip" | "join" | "reconnect" | "reap";

/** `atMs`: when it was due, on the monotonic clock; that is how a stall is noticed. */
export type MembershipTimer =
  | { readonly kind: Periodic; readonly atMs: number }
  | { readonly kind: "direct" | "relay"; readonly atMs: number; readonly seq: number }
  | { readonly kind: "suspicion"; readonly atMs: number; readonly node: NodeId };

export type RefusedReason = "foreign-cluster" | "malformed" | "oversized" | "misdirected" | "implausible";

export type MembershipEffect =
  | { readonly kind: "datagram"; readonly to: string; readonly bytes: Uint8Array }
  | { readonly kind: "wake"; readonly afterMs: number; readonly timer: MembershipTimer }
  | { readonly kind: "member"; readonly member: Member; readonly previous: MemberState | undefined }
  /** A tombstone's time is over, or its room was needed: `members()` no longer lists the node. */
  | { readonly kind: "forgotten"; readonly node: NodeId }
  /** May work for others be put on this member? Everybody is fit until told otherwise. */
  | { readonly kind: "fitness"; readonly node: NodeId; readonly isFit: boolean }
  | { readonly kind: "refused"; readonly from: string; readonly reason: RefusedReason }
  /**
   * The others hold a later start of this node for gone, and so believe nothing that this one says: its boot number came from
   * an old copy of its disk and a clock that was set back. The driver must end it, and start it above that number.
   */
  | { readonly kind: "outlived"; readonly boot: number };

export class Outbox {
  readonly #config: MembershipConfig;
  readonly #cluster: ClusterId;
  readonly #roster: Roster;
  readonly #rumours: Dissemination;
  readonly #currentMs = new Map<Periodic, number>();
  #effects: MembershipEffect[] = [];
  #seq: number; // From anywhere, so that an ack to a former process of ours, or to another, is recognisably not for us.
  /** The latest pings, by number: whom they went to. */
  readonly #pinged = new Map<number, NodeId>();

  constructor(config: MembershipConfig, cluster: ClusterId, roster: Roster, rng: Rng) {
    this.#config = config;
    this.#cluster = cluster;
    this.#roster = roster;
    this.#rumours = new Dissemination(config);
    this.#seq = rng.u32();
  }

  get hasRumours(): boolean {
    return this.#rumours.size > 0;
  }

  /** The effects since the last call, in order. */
  drain(): MembershipEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  member(member: Member, previous: MemberState | undefined): void {
    this.#effects.push({ kind: "member", member, previous });
  }

  forgotten(node: NodeId): void {
    this.#effects.push({ kind: "forgotten", node });
  }

  fitness(node: NodeId, isFit: boolean): void {
    this.#effects.push({ kind: "fitness", node, isFit });
  }

  refused(from: string, reason: RefusedReason): void {
    this.#effects.push({ kind: "refused", from, reason });
  }

  outlived(boot: number): void {
    this.#effects.push({ kind: "outlived", boot });
  }

  wake(timer: MembershipTimer, now: Now): void {
    this.#effects.push({ kind: "wake", afterMs: Math.max(0, timer.atMs - now.monotonicMs), timer });
  }

  /** Schedules the one current timer of its kind. */
  arm(kind: Periodic, afterMs: number, now: Now): void {
    const atMs = now.monotonicMs + afterMs;
    this.#currentMs.set(kind, atMs);
    this.wake({ kind, atMs }, now);
  }

  /** True once for the timer last armed. */
  isCurrent(kind: Periodic, atMs: number): boolean {
    return this.#currentMs.get(kind) === atMs && this.#currentMs.delete(kind);
  }

  /** Queues news about a node for everybody, and makes sure that the gossip tick runs. */
  spread(node: NodeId, accuser: NodeId | undefined, now: Now): void {
    this.#rumours.add(node, accuser);
    if (!this.#currentMs.has("gossip")) this.arm("gossip", this.#config.gossipIntervalMs, now);
  }

  /** Pings, telling a suspect or dead target what is said about it, so that its answer refutes. Returns the ack's seq. */
  ping(target: NodeId, address: string, now: Now, accuser?: NodeId): number {
    const seq = this.#seq;
    this.#seq = (this.#seq + 1) % 0x1_0000_0000;
    this.#pinged.set(seq, target);
    for (const oldest of this.#pinged.keys()) {
      if (this.#pinged.size <= this.#config.pingsRememberedMax) break;
      this.#pinged.delete(oldest);
    }
    const messages: Message[] = [{ kind: "ping", seq, target, rosterHash: this.#roster.hash }];
    const known = this.#roster.get(target);
    if (known !== undefined && known.member.state !== "alive") {
      messages.push(this.#roster.rumourOf(known, now, accuser));
    }
    this.send(address, messages, now);
    return seq;
  }

  /** Does an ack of this number answer one of our latest pings, and come from whom it went to? */
  isAnswer(seq: number, sender: NodeId): boolean {
    return this.#pinged.get(seq) === sender;
  }

  /** One datagram: the messages, and rumours in the room they leave. */
  send(to: string, messages: readonly Message[], now: Now): void {
    const datagram = new Filling(encodeHeader(this.#cluster, this.#roster.self), this.#config.datagramBytesMax);
    for (const message of messages) {
      const fits = datagram.add(encodeMessage(message));
      assert(fits, "one step's messages fit into a datagram");
    }
    const said = new Set(messages.map((message) => (message.kind === "rumour" ? message.member.nodeId : "")));
    this.#rumours.fill(this.#roster.clusterSize, (node, accuser) => {
      const known = this.#roster.get(node);
      if (said.has(node)) return true;
      if (known === undefined) return true; // Forgotten since; or ourselves, and then the header says it.
      return datagram.add(encodeMessage(this.#roster.rumourOf(known, now, accuser)));
    });
    this.#effects.push({ kind: "datagram", to, bytes: datagram.done() });
  }

  /** `first`, then the roster from `startIndex` on, in at most `rosterDatagramsMax` datagrams; with none known just the header. */
  sendRoster(to: string, startIndex: number, first: readonly Message[], now: Now): void {
    const header = encodeHeader(this.#cluster, this.#roster.self);
    const members = this.#roster.all();
    const rotated = [...members.slice(startIndex), ...members.slice(0, startIndex)];
    const encoded = rotated.flatMap(({ nodeId }) => {
      const known = this.#roster.get(nodeId);
      return known === undefined ? [] : [encodeMessage(this.#roster.rumourOf(known, now))];
    });
    let left = this.#config.rosterDatagramsMax - 1;
    let datagram = new Filling(header, this.#config.datagramBytesMax);
    for (const message of [...first.map(encodeMessage), ...encoded]) {
      if (datagram.add(message)) continue;
      if (left-- === 0) break;
      this.#effects.push({ kind: "datagram", to, bytes: datagram.done() });
      datagram = new Filling(header, this.#config.datagramBytesMax);
      datagram.add(message);
    }
    this.#effects.push({ kind: "datagram", to, bytes: datagram.done() });
  }

  /** Tells a node what stands against it, at most so often; its answer refutes it. */
  accuse(node: NodeId, accuser: NodeId | undefined, now: Now): void {
    const known = this.#roster.get(node);
    if (known === undefined || !this.#roster.may("accuse", node, this.#config.accusationIntervalMs, now)) return;
    if (known.member.state === "suspect" || isGone(known.member)) {
      this.ping(node, known.member.address, now, accuser);
    } else this.send(known.member.address, [this.#roster.rumourOf(known, now)], now);
  }
}

/** A datagram being filled, never beyond its limit. */
class Filling {
  readonly #bytesMax: number;
  readonly #parts: Uint8Array[];
  #length: number;

  constructor(header: Uint8Array, bytesMax: number) {
    assert(header.length <= bytesMax, "a header fits into a datagram");
    this.#bytesMax = bytesMax;
    this.#parts = [header];
    this.#length = header.length;
  }

  add(message: Uint8Array): boolean {
    if (this.#length + message.length > this.#bytesMax) return false;
    this.#parts.push(message);
    this.#length += message.length;
    return true;
  }

  done(): Uint8Array {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
