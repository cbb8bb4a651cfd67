/**
 * Running suspicions: how long an accused member has to refute. The more independent accusers, the shorter.
 *
 *              ┌── refuted, left, died elsewhere ──► (none)
 *   suspect ───┤
 *              └── deadline ──► heard from since? ──yes──► suspect, from the start
 *                                     └─no──► dead
 *
 * Lifeguard section IV.B:  T(n) = max(min, max − (max − min) · ln(n + 1) / ln(k + 1)),  n confirmations of k wanted.
 */
import type { NodeId, Now } from "@patina/base";
import type { MembershipConfig } from "./config.js";

export type Verdict =
  { readonly kind: "dead" | "stale" | "renewed" } | { readonly kind: "wait"; readonly atMs: number };

interface Suspicion {
  readonly accuser: NodeId;
  readonly others: Set<NodeId>;
  wanted: number;
  readonly minMs: number;
  startedMs: number;
  /** When the one timer that counts is due; any other is stale. */
  armedMs: number;
}

export class Suspicions {
  readonly #config: MembershipConfig;
  readonly #running = new Map<NodeId, Suspicion>();

  constructor(config: MembershipConfig) {
    this.#config = config;
  }

  /** The first accuser of a running suspicion. */
  accuserOf(node: NodeId): NodeId | undefined {
    return this.#running.get(node)?.accuser;
  }

  /** Begins, or begins anew. Returns the time to wake, on the monotonic clock. */
  start(node: NodeId, accuser: NodeId, clusterSize: number, now: Now): number {
    const { suspicionMinMs, suspicionPerDecadeMs, confirmations, confirmationsFrom } = this.#config;
    const suspicion: Suspicion = {
      accuser,
      others: new Set(),
      wanted: clusterSize < confirmationsFrom ? 0 : confirmations,
      minMs: Math.max(suspicionMinMs, suspicionPerDecadeMs * Math.log10(clusterSize)),
      startedMs: now.monotonicMs,
      armedMs: 0,
    };
    this.#running.set(node, suspicion);
    return this.#arm(suspicion);
  }

  /** Returns when to wake if `accuser` is a new one who still counts, and then the accusation is worth retelling. */
  confirm(node: NodeId, accuser: NodeId): number | undefined {
    const suspicion = this.#running.get(node);
    if (suspicion === undefined || accuser === suspicion.accuser || suspicion.others.has(accuser)) return undefined;
    if (suspicion.others.size >= suspicion.wanted) return undefined;
    suspicion.others.add(accuser);
    return this.#arm(suspicion);
  }

  /** Somebody already waited in vain: only the shortest time is left, measured from when we ourselves were told. */
  condemn(node: NodeId): number | undefined {
    const suspicion = this.#running.get(node);
    if (suspicion === undefined || suspicion.wanted === 0) return undefined;
    suspicion.wanted = 0;
    return this.#arm(suspicion);
  }

  stop(node: NodeId): void {
    this.#running.delete(node);
  }

  /** We were away for `lateMs`: refutations sent meanwhile may not have been read. Timers find out when they wake. */
  extend(lateMs: number): void {
    for (const suspicion of this.#running.values()) suspicion.startedMs += lateMs;
  }

  /** The timer armed for `atMs` woke. `heardMs`: the last evidence of life. */
  onWake(node: NodeId, atMs: number, heardMs: number, now: Now): Verdict {
    const suspicion = this.#running.get(node);
    if (suspicion === undefined || suspicion.armedMs !== atMs) return { kind: "stale" };
    if (now.monotonicMs < this.#deadlineMs(suspicion)) return { kind: "wait", atMs: this.#arm(suspicion) };
    if (heardMs <= suspicion.startedMs) return { kind: "dead" };
    return { kind: "renewed" };
  }

  #arm(suspicion: Suspicion): number {
    suspicion.armedMs = this.#deadlineMs(suspicion);
    return suspicion.armedMs;
  }

  #deadlineMs({ startedMs, others, wanted, minMs }: Suspicion): number {
    if (wanted === 0) return startedMs + minMs;
    const maxMs = minMs * this.#config.suspicionMaxFactor;
    const shortened = ((maxMs - minMs) * Math.log(others.size + 1)) / Math.log(wanted + 1);
    return startedMs + Math.max(minMs, maxMs - shortened);
  }
}
