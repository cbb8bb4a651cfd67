/**
 * What is believed about whom. Every record that arrives, and every silence of our own, ends here.
 *
 *                        ┌────────── refuted: own word, higher incarnation ──────────┐
 *                        ▼                                                           │
 *   (unknown) ──────► alive ── found silent, or reported suspect or dead ──► suspect ┤
 *                        │                                                           ├── deadline ──► dead
 *                        └── says that it leaves ──► left                            │               │
 *                        ▲                                                           └── leaves      │
 *                        └─────────────── own word: higher incarnation, or a new boot ◄──────────────┘
 *
 * Nobody is buried on hearsay: a third party's "dead" about a member we take for present is one more accusation, with
 * the shortest deadline. Otherwise the two halves of a healed partition would first kill each other's members.
 */
import type { NodeId, Now } from "@patina/base";
import type { MembershipConfig } from "./config.js";
import type { Fitness } from "./fitness.js";
import type { LocalHealth } from "./health.js";
import { compareMembers, isGone, type Member } from "./member.js";
import type { Rumour } from "./message.js";
import type { Outbox } from "./outbox.js";
import type { Roster } from "./roster.js";
import { Suspicions } from "./suspicion.js";

export class Judge {
  readonly #roster: Roster;
  readonly #health: LocalHealth;
  readonly #outbox: Outbox;
  readonly #fitness: Fitness;
  readonly #suspicions: Suspicions;

  constructor(config: MembershipConfig, roster: Roster, health: LocalHealth, outbox: Outbox, fitness: Fitness) {
    this.#roster = roster;
    this.#health = health;
    this.#outbox = outbox;
    this.#fitness = fitness;
    this.#suspicions = new Suspicions(config);
  }

  accuserOf(node: NodeId): NodeId | undefined {
    return this.#suspicions.accuserOf(node);
  }

  /** A sender about itself. If something stands against it, it is told, or it could not know. */
  hearSender(sender: Member, now: Now): void {
    const offer = this.#roster.offer({ kind: "rumour", member: sender }, true, now);
    if (offer.kind === "applied") this.#onApplied(sender, offer.previous, undefined, now);
    if (offer.kind !== "stale") return;
    const standing = this.#roster.get(sender.nodeId)?.member;
    if (standing !== undefined && (standing.state !== "alive" || standing.boot > sender.boot)) {
      this.#outbox.accuse(sender.nodeId, this.accuserOf(sender.nodeId), now);
    }
  }

  /** A record that `teller` passes on. False when it cannot be true; then it changed nothing. */
  hearRumour(rumour: Rumour, teller: Member, now: Now): boolean {
    const { member, accuser } = rumour;
    if (!this.#roster.isPlausible(member, now)) return false;
    if (member.nodeId === this.#roster.self.nodeId) return this.#hearAboutSelf(member, teller, now);
    if (member.state === "dead" && this.#hearDeath(member, teller, now)) return true;
    const offer = this.#roster.offer(rumour, false, now);
    if (offer.kind === "applied") this.#onApplied(member, offer.previous, accuser, now);
    if (offer.kind === "known" && accuser !== undefined) this.#confirm(member.nodeId, accuser, now);
    if (offer.kind === "unverified") this.#outbox.accuse(member.nodeId, undefined, now);
    return true;
  }

  /** Our own probe found the member silent. */
  accuse(silent: Member, now: Now): void {
    const self = this.#roster.self.nodeId;
    const current = this.#roster.get(silent.nodeId)?.member;
    if (current === undefined || isGone(current) || current.boot !== silent.boot) return;
    if (current.state === "suspect") {
      this.#confirm(current.nodeId, self, now);
      return;
    }
    if (current.incarnation !== silent.incarnation || !this.#health.mayAccuse(now.monotonicMs)) return;
    this.#install({ ...current, state: "suspect" }, self, now);
    this.#outbox.accuse(current.nodeId, self, now);
  }

  onSuspicionWake(node: NodeId, atMs: number, now: Now): void {
    const known = this.#roster.get(node);
    const accuser = this.accuserOf(node);
    if (known === undefined || accuser === undefined) return;
    const verdict = this.#suspicions.onWake(node, atMs, known.heardMs, now);
    if (verdict.kind === "wait") this.#arm(node, verdict.atMs, now);
    if (verdict.kind === "renewed") {
      this.#arm(node, this.#suspicions.start(node, accuser, this.#roster.clusterSize, now), now);
      this.#outbox.accuse(node, accuser, now);
    }
    if (verdict.kind !== "dead") return;
    this.#install({ ...known.member, state: "dead" }, undefined, now);
    this.#outbox.accuse(node, undefined, now);
  }

  /** We were away: whoever is suspected gets the time back. */
  extend(lateMs: number): void {
    this.#suspicions.extend(lateMs);
  }

  /** Takes over a tombstone or a verdict of our own. */
  #install(member: Member, accuser: NodeId | undefined, now: Now): void {
    const offer = this.#roster.offer({ kind: "rumour", member }, true, now);
    if (offer.kind === "applied") this.#onApplied(member, offer.previous, accuser, now);
  }

  #onApplied(member: Member, previous: Member | undefined, accuser: NodeId | undefined, now: Now): void {
    const { nodeId } = member;
    if (member.state !== "suspect") this.#suspicions.stop(nodeId);
    else this.#arm(nodeId, this.#suspicions.start(nodeId, accuser ?? nodeId, this.#roster.clusterSize, now), now);
    this.#outbox.spread(nodeId, accuser, now);
    const isNews =
      previous === undefined ||
      previous.state !== member.state ||
      previous.boot !== member.boot ||
      previous.address !== member.address ||
      previous.meta.api !== member.meta.api;
    if (isNews) this.#outbox.member(member, previous?.state);
    if (previous?.state === "dead" && !isGone(member)) this.#fitness.noteReturn(nodeId, now);
  }

  /** True when it was about a member we take for present, and so became an accusation. */
  #hearDeath(member: Member, teller: Member, now: Now): boolean {
    const current = this.#roster.get(member.nodeId)?.member;
    if (current === undefined || isGone(current) || compareMembers(member, current) <= 0) return false;
    const suspect: Member = { ...member, state: "suspect" };
    if (compareMembers(suspect, current) > 0) this.#install(suspect, teller.nodeId, now);
    const atMs = this.#suspicions.condemn(member.nodeId);
    if (atMs !== undefined) this.#arm(member.nodeId, atMs, now);
    this.#outbox.accuse(member.nodeId, teller.nodeId, now);
    return true;
  }

  #hearAboutSelf(member: Member, teller: Member, now: Now): boolean {
    const self = this.#roster.self;
    if (member.boot > self.boot) {
      if (isGone(member)) this.#outbox.outlived(member.boot);
      return isGone(member); // Else a copy of our identity runs: nothing we say could outbid it.
    }
    if (compareMembers(member, self) <= 0 || member.boot < self.boot) return true;
    this.#health.worsen();
    this.#roster.refute(member.incarnation);
    this.#outbox.spread(self.nodeId, undefined, now);
    this.#outbox.send(teller.address, [], now); // The header is the refutation.
    return true;
  }

  #confirm(node: NodeId, accuser: NodeId, now: Now): void {
    const atMs = this.#suspicions.confirm(node, accuser);
    if (atMs === undefined) return;
    this.#arm(node, atMs, now);
    this.#outbox.spread(node, accuser, now);
  }

  #arm(node: NodeId, atMs: number, now: Now): void {
    this.#outbox.wake({ kind: "suspicion", atMs, node }, now);
  }
}
