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
import { isNodeId, type NodeId } from "@patina/base";

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

/** Whether something read from a file is what one node says about another. */
export function isMember(value: unknown): value is Member {
  const { nodeId, boot, incarnation, state, address, meta } = (value ?? {}) as Partial<Record<keyof Member, unknown>>;
  const isNamed = typeof nodeId === "string" && isNodeId(nodeId) && typeof address === "string" && isAddress(address);
  const hasApi = typeof meta === "object" && meta !== null && "api" in meta && typeof meta.api === "string";
  const isState = typeof state === "string" && Object.hasOwn(RANKS, state);
  return isNamed && hasApi && isState && Number.isSafeInteger(boot) && Number.isSafeInteger(incarnation);
}

/**
 * `host:port` as every member can use it: an IPv4 address, an IPv6 address in brackets and without a zone, or a name in ASCII; a
 * port from 1 to 65535. Others would dial it as part of a URL, which takes no more than that.
 */
export function isAddress(text: string): boolean {
  const [, v6, host = "", port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) return false;
  return v6 === undefined ? V4.test(host) || isName(host) : isV6(v6);
}

const V4 = /^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!$)|$)){4}$/;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const NAME_CHARACTERS_MAX = 253;

/** One that ends in a number would be read as an IPv4 address. */
function isName(host: string): boolean {
  const labels = host.replace(/\.$/, "").split(".");
  const isNumber = /^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "");
  return host.length <= NAME_CHARACTERS_MAX && !isNumber && labels.every((label) => LABEL.test(label));
}

function isV6(host: string): boolean {
  const dotted = /(?<=:)[^:]*\.[^:]*$/.exec(host)?.[0];
  if (dotted !== undefined && !V4.test(dotted)) return false;
  const halves = host.replace(/[^:]*\.[^:]*$/, "0:0").split("::"); // The dots stand for two groups.
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const isWhole = halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
  return isWhole && groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group));
}
