/**
 * What one node says about another, and which of two such records wins.
 *
 * Records about a node are totally ordered, and the join is the greater one, so every node that has heard the same
 * records holds the same one, in whatever order they came:
 *
 *   compared first      │ why
 *   ────────────────────┼───────────────────────────────────────────────────────────────────────────────────────
 *   1 boot              │ a restarted process beats anything said about the one before it
 *   2 incarnation       │ only the node itself raises it, to refute an accusation
 *   3 rank of the state │ alive < suspect < dead < left: an accusation stands until it is refuted
 *   4 address, then api │ never differs in one boot, unless an identity was copied; then at least all agree
 *
 * Das, Gupta and Motivala, "SWIM", 2002, section 4.2, with the boot number in front.
 */
import type { NodeId } from "@patina/base";

export interface MemberMeta {
  /** Where the node serves HTTP, e.g. `http://127.0.0.1:4001`. */
  readonly api: string;
}

export type MemberState = "alive" | "suspect" | "dead" | "left";

export interface Member {
  readonly nodeId: NodeId;
  /** Greater with every start of the node's process; persisted before its first datagram. */
  readonly boot: number;
  readonly incarnation: number;
  readonly state: MemberState;
  /** `host:port`, for datagrams and for streams, as the node itself advertises it. */
  readonly address: string;
  readonly meta: MemberMeta;
}

const RANKS: Readonly<Record<MemberState, number>> = { alive: 0, suspect: 1, dead: 2, left: 3 };

/** Positive when `a` wins over `b`, 0 only when they say the same. Both are about one node. */
export function compareMembers(a: Member, b: Member): number {
  if (a.boot !== b.boot) return a.boot - b.boot;
  if (a.incarnation !== b.incarnation) return a.incarnation - b.incarnation;
  if (a.state !== b.state) return RANKS[a.state] - RANKS[b.state];
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  if (a.meta.api !== b.meta.api) return a.meta.api < b.meta.api ? -1 : 1;
  return 0;
}

/** The record that stands after both were heard: commutative, associative, idempotent. */
export function joinMembers(a: Member, b: Member): Member {
  return compareMembers(a, b) >= 0 ? a : b;
}

/** Dead or left: kept as a tombstone, so that late rumours cannot bring the node back. */
export function isGone(member: Member): boolean {
  return member.state === "dead" || member.state === "left";
}

/** `host:port` in ASCII, with a port a socket accepts. */
export function isAddress(text: string): boolean {
  const port = /^[\x21-\x7e]+:(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535;
}
