/**
 * One node's view of who is in the cluster: SWIM over datagrams (Das, Gupta and Motivala, 2002) with Lifeguard's
 * extensions. This file only routes: inputs to the parts that decide, and their effects back.
 *
 *   datagram ─► message ─► judge (what is believed) ─► roster        probe, relay ─► judge
 *                            └─► suspicion                           health: do we trust ourselves?
 *   outbox: datagrams filled with rumours, timers, member events     join: whom to call, for ever
 */
import { assert, type ClusterId, MalformedError, type NodeId, type Now, type Rng, unreachable } from "@patina/base";
import { checkMembershipConfig, type MembershipConfig } from "./config.js";
import { Exchange } from "./exchange.js";
import { Fitness } from "./fitness.js";
import { LocalHealth } from "./health.js";
import { Contacts } from "./join.js";
import { Judge } from "./judge.js";
import { isAddress, isGone, type Member, type MemberMeta } from "./member.js";
import { type Datagram, decodeDatagram, type Message } from "./message.js";
import { type MembershipEffect, type MembershipTimer, Outbox, type RefusedReason } from "./outbox.js";
import { Probe } from "./probe.js";
import { Relays } from "./relay.js";
import { Roster } from "./roster.js";

export type MembershipInput =
  | { readonly kind: "start" }
  | { readonly kind: "datagram"; readonly from: string; readonly bytes: Uint8Array }
  | { readonly kind: "wake"; readonly timer: MembershipTimer }
  | { readonly kind: "leave" }
  /** An authenticated stream frame arrived from that node: as good as an ack. */
  | { readonly kind: "heard"; readonly node: NodeId }
  /** Its stream broke, and nothing listens any more where it was: its process is gone, or the way to it. */
  | { readonly kind: "unreachable"; readonly node: NodeId }
  /** For how long this node's own work has been waiting for its turn; told to the others with every ack. */
  | { readonly kind: "lag"; readonly lagMs: number };

export interface MembershipOptions {
  readonly cluster: ClusterId;
  /** `boot` is greater than at every earlier start, and on disk before the first datagram. */
  readonly self: {
    readonly nodeId: NodeId;
    readonly boot: number;
    readonly address: string;
    readonly meta: MemberMeta;
  };
  /** Addresses to join through. Our own among them is ignored. */
  readonly seeds: readonly string[];
  /** `members()` of an earlier run: tombstones are kept, the others are called. */
  readonly remembered?: readonly Member[];
  readonly config: MembershipConfig;
  readonly rng: Rng;
}

export class Membership {
  readonly #cluster: ClusterId;
  readonly #config: MembershipConfig;
  readonly #remembered: readonly Member[];
  readonly #rng: Rng;
  readonly #roster: Roster;
  readonly #outbox: Outbox;
  readonly #health: LocalHealth;
  readonly #judge: Judge;
  readonly #probe: Probe;
  readonly #relays: Relays;
  readonly #contacts: Contacts;
  readonly #exchange: Exchange;
  readonly #fitness: Fitness;
  #lagMs = 0;
  #phase: "new" | "running" | "left" = "new";
  #excusedMs = -Infinity; // Wakes due before this are late for a stall that was already accounted for.

  constructor({ cluster, self, seeds, remembered = [], config, rng }: MembershipOptions) {
    checkMembershipConfig(config);
    assert(isAddress(self.address) && self.address.length <= config.addressBytesMax, "our address is host:port");
    assert(/^[\x21-\x7e]*$/.test(self.meta.api), "our api address is plain ASCII");
    assert(self.meta.api.length <= config.apiBytesMax, "our api address is within its limit");
    this.#cluster = cluster;
    this.#config = config;
    this.#rng = rng;
    this.#remembered = remembered.filter(({ nodeId }) => nodeId !== self.nodeId);
    this.#roster = new Roster(config, { ...self, incarnation: 0, state: "alive" });
    this.#outbox = new Outbox(config, cluster, this.#roster, rng.fork());
    this.#health = new LocalHealth(config);
    this.#fitness = new Fitness(config, this.#outbox);
    this.#judge = new Judge(config, this.#roster, this.#health, this.#outbox, this.#fitness);
    this.#probe = new Probe(config, this.#roster, this.#health, this.#outbox, rng.fork());
    this.#relays = new Relays(config, this.#roster, this.#outbox);
    this.#exchange = new Exchange(config, this.#roster, this.#outbox, rng.fork());
    this.#contacts = new Contacts(config, seeds, this.#remembered, rng.fork());
  }

  /**
   * One step. Before `start` and after `leave` every other input is ignored. The driver reads its socket until it is
   * empty before it delivers a wake: a verdict must not overtake an answer that has already arrived.
   */
  handle(input: MembershipInput, now: Now): MembershipEffect[] {
    if (input.kind === "start") this.#start(now);
    else if (this.#phase === "running") this.#step(input, now);
    for (const node of this.#roster.takeForgotten()) {
      this.#fitness.forget(node);
      this.#outbox.forgotten(node);
    }
    return this.#outbox.drain();
  }

  /** All known others, dead and left included, by node id. */
  members(): readonly Member[] {
    return this.#roster.all();
  }

  /** The others that are there: alive and suspect, by node id. */
  aliveMembers(): readonly Member[] {
    return this.#roster.present();
  }

  self(): Member {
    return this.#roster.self;
  }

  /** 0 is well, `localHealthMax` means that we take ourselves for the sick one. */
  get localHealth(): number {
    return this.#health.score;
  }

  #step(input: Exclude<MembershipInput, { kind: "start" }>, now: Now): void {
    switch (input.kind) {
      case "datagram":
        return this.#onDatagram(input.from, input.bytes, now);
      case "wake":
        this.#checkLate(input.timer, now);
        return this.#onWake(input.timer, now);
      case "heard":
        return this.#onHeard(input.node, now);
      case "unreachable":
        return this.#onUnreachable(input.node, now);
      case "lag":
        this.#lagMs = Math.max(0, Math.round(input.lagMs));
        return;
      case "leave":
        return this.#leave(now);
      default:
        return unreachable(input);
    }
  }

  #start(now: Now): void {
    assert(this.#phase === "new", "a membership starts once");
    this.#phase = "running";
    for (const member of this.#remembered) {
      if (isGone(member)) this.#roster.offer({ kind: "rumour", member }, true, now);
    }
    this.#join(now);
    this.#probe.begin(now, () => undefined);
    this.#outbox.arm("reconnect", this.#config.reconnectIntervalMs, now);
    this.#outbox.arm("reap", this.#config.reapIntervalMs, now);
  }

  #leave(now: Now): void {
    this.#roster.leave();
    this.#phase = "left";
    const told = this.#rng.shuffle(this.#roster.present()).slice(0, this.#config.leaveFanout);
    for (const { address } of told) this.#outbox.send(address, [], now); // The header says that we left.
  }

  #onDatagram(from: string, bytes: Uint8Array, now: Now): void {
    const datagram = this.#open(bytes, now);
    if (typeof datagram === "string") {
      this.#outbox.refused(from, datagram);
      return;
    }
    const { sender, messages } = datagram;
    if (sender.nodeId === this.#roster.self.nodeId) return; // Our own, from a seed address that turned out to be ours.
    this.#judge.hearSender(sender, now);
    if (messages.some((each) => this.#isForUs(each, sender))) this.#noteLife(sender.nodeId, sender.boot, now);
    for (const message of messages) this.#onMessage(message, sender, from, now);
  }

  /**
   * Was the datagram meant for this member, and not recorded on its way to another? Its seal says who made it, not for whom: what
   * anybody could have played back is no sign of life.
   */
  #isForUs(message: Message, sender: Member): boolean {
    if (message.kind === "ack") return this.#outbox.isAnswer(message.seq, sender.nodeId);
    return message.kind === "ping"; // Of another's, nothing is read at all.
  }

  /** The datagram, or why nothing of it is believed. */
  #open(bytes: Uint8Array, now: Now): Datagram | RefusedReason {
    if (bytes.length > this.#config.datagramBytesMax) return "oversized";
    const datagram = this.#decode(bytes);
    if (typeof datagram === "string") return datagram;
    const self = this.#roster.self;
    if (!this.#roster.isPlausible(datagram.sender, now)) return "implausible";
    if (datagram.sender.nodeId === self.nodeId && datagram.sender.boot > self.boot) return "implausible";
    const isMisdirected = datagram.messages.some((each) => each.kind === "ping" && each.target !== self.nodeId);
    return isMisdirected ? "misdirected" : datagram;
  }

  #decode(bytes: Uint8Array): Datagram | RefusedReason {
    try {
      return decodeDatagram(bytes, this.#cluster, this.#config);
    } catch (error) {
      if (error instanceof MalformedError) return "malformed";
      throw error;
    }
  }

  #onMessage(message: Message, sender: Member, from: string, now: Now): void {
    switch (message.kind) {
      case "ping": {
        const ack = { kind: "ack", seq: message.seq, rosterHash: this.#roster.hash, lagMs: this.#lagMs } as const;
        return this.#outbox.send(sender.address, [ack], now);
      }
      case "ack":
        if (!this.#outbox.isAnswer(message.seq, sender.nodeId)) return; // Too late to say anything, or another's.
        this.#probe.onAck(sender.nodeId, message.seq, now);
        this.#relays.onAck(sender.nodeId, message.seq, now);
        this.#fitness.noteLag(sender.nodeId, message.lagMs, now);
        return this.#exchange.compare(sender, message.rosterHash, now);
      case "ping-request":
        return this.#relays.ask(sender.address, message, now);
      case "relayed-ack":
        return this.#probe.onRelayedAck(message.target, message.seq);
      case "nack":
        return this.#probe.onNack(sender.nodeId, message.seq);
      case "roster-request":
        return this.#exchange.answer(sender, now);
      case "rumour":
        if (!this.#judge.hearRumour(message, sender, now)) this.#outbox.refused(from, "implausible");
        return;
      default:
        return unreachable(message);
    }
  }

  #onWake(timer: MembershipTimer, now: Now): void {
    switch (timer.kind) {
      case "direct":
        return this.#probe.escalate(timer.seq, now);
      case "relay":
        return this.#relays.onTimeout(timer.seq, now);
      case "suspicion":
        return this.#judge.onSuspicionWake(timer.node, timer.atMs, now);
      case "probe":
      case "gossip":
      case "join":
      case "reconnect":
      case "reap":
        if (this.#outbox.isCurrent(timer.kind, timer.atMs)) this.#onPeriod(timer.kind, now);
        return;
      default:
        return unreachable(timer);
    }
  }

  #onPeriod(kind: "probe" | "gossip" | "join" | "reconnect" | "reap", now: Now): void {
    switch (kind) {
      case "probe":
        for (const silent of this.#probe.conclude()) this.#judge.accuse(silent, now);
        return this.#probe.begin(now, (node) => this.#judge.accuserOf(node));
      case "gossip":
        return this.#gossip(now);
      case "join":
        return this.#join(now);
      case "reconnect":
        return this.#reconnect(now);
      case "reap":
        this.#roster.reap(now);
        this.#fitness.review(now);
        return this.#outbox.arm("reap", this.#config.reapIntervalMs, now);
      default:
        return unreachable(kind);
    }
  }

  #gossip(now: Now): void {
    const peers = this.#rng.shuffle(this.#roster.present()).slice(0, this.#config.gossipFanout);
    for (const { address } of peers) if (this.#outbox.hasRumours) this.#outbox.send(address, [], now);
    if (this.#outbox.hasRumours && peers.length > 0) this.#outbox.arm("gossip", this.#config.gossipIntervalMs, now);
  }

  #join(now: Now): void {
    for (const address of this.#contacts.next(this.#roster)) {
      this.#outbox.send(address, [{ kind: "roster-request" }], now);
    }
    this.#outbox.arm("join", this.#contacts.delayMs(), now);
  }

  /**
   * Calls one of the gone, and nobody else speaks to it: the dead may only have been unreachable, and who left may be back,
   * numbered below that start by an old disk, and not be believed.
   */
  #reconnect(now: Now): void {
    const gone = this.#rng.pick(this.#roster.gone());
    const known = gone === undefined ? undefined : this.#roster.get(gone.nodeId);
    if (known !== undefined) {
      const accusation = this.#roster.rumourOf(known, now);
      this.#outbox.send(known.member.address, [accusation, { kind: "roster-request" }], now);
    }
    this.#outbox.arm("reconnect", this.#config.reconnectIntervalMs, now);
  }

  #onHeard(node: NodeId, now: Now): void {
    const known = this.#roster.get(node);
    if (known === undefined) return;
    this.#noteLife(node, known.member.boot, now);
    if (known.member.state !== "alive") this.#outbox.accuse(node, this.#judge.accuserOf(node), now);
  }

  /** Suspicion begins at once, rather than with the next probe, and takes as long as any. */
  #onUnreachable(node: NodeId, now: Now): void {
    const known = this.#roster.get(node);
    if (known !== undefined) this.#judge.accuse(known.member, now);
  }

  #noteLife(node: NodeId, boot: number, now: Now): void {
    const known = this.#roster.get(node);
    if (known === undefined || known.member.boot !== boot) return; // An older process of the node proves nothing.
    known.heardMs = now.monotonicMs;
    this.#probe.onSignOfLife(node);
  }

  /** A late wake: for that long we were deaf, so silence proves nothing about others and something about us. */
  #checkLate(timer: MembershipTimer, now: Now): void {
    const lateMs = now.monotonicMs - timer.atMs;
    if (lateMs <= this.#config.lateTickMs || timer.atMs <= this.#excusedMs) return;
    this.#excusedMs = now.monotonicMs;
    this.#probe.void();
    this.#relays.void();
    this.#judge.extend(lateMs + this.#config.probeIntervalMs); // And time to read what has come meanwhile.
    this.#health.worsen();
  }
}
