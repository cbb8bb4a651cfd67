/**
 * Heads told around: "of this origin I hold up to that version". An origin's versions are numbered, so one number says what a
 * list of message ids would; whoever finds that it lacks something asks the teller for it. This is what catches a change
 * that both its relays lost, in some tens of milliseconds instead of anti-entropy's second.
 *
 *   advanced ──► told to a few members, three times ──► (nothing)
 *   heard of a version that is not here ──20 ms──► ask the teller ──100 ms──► another teller ──300 ms──► left to anti-entropy
 */
import type { Heads, NodeId, Now, OriginId } from "@patina/base";
import type { GossipConfig } from "./config.js";

interface Lack {
  head: number;
  readonly tellers: Set<NodeId>;
  tries: number;
  dueMs: number;
}

export interface Pull {
  readonly origin: OriginId;
  readonly head: number;
  readonly from: NodeId;
}

export class HeadsTold {
  readonly #config: GossipConfig;
  /** How often an origin's head is still to be told. */
  readonly #toTell = new Map<OriginId, number>();
  readonly #lacks = new Map<OriginId, Lack>();

  constructor(config: GossipConfig) {
    this.#config = config;
  }

  /** This origin's head has moved. True when telling has to begin: nothing was to be told before. */
  noteAdvanced(origin: OriginId): boolean {
    const isFirst = this.#toTell.size === 0;
    this.#toTell.set(origin, this.#config.headsRepeat);
    return isFirst;
  }

  /** What to tell now; nothing when there is no more, and telling ends. */
  tell(headOf: (origin: OriginId) => number): Heads {
    const heads = new Map<OriginId, number>();
    for (const [origin, times] of this.#toTell) {
      heads.set(origin, headOf(origin));
      if (times <= 1) this.#toTell.delete(origin);
      else this.#toTell.set(origin, times - 1);
    }
    return heads;
  }

  /** A member holds this, and it is not here. Returns after how long to look whether it has come, if nobody looks yet. */
  noteLack(origin: OriginId, head: number, teller: NodeId, now: Now): number | undefined {
    const lack = this.#lacks.get(origin);
    if (lack !== undefined) {
      if (head > lack.head) lack.tries = 0;
      lack.head = Math.max(lack.head, head);
      lack.tellers.add(teller);
      return undefined;
    }
    if (this.#lacks.size >= this.#config.lacksMax) return undefined; // Anti-entropy sees to the rest.
    const afterMs = this.#config.pullAfterMs[0] ?? 0;
    const isFirst = this.#lacks.size === 0;
    this.#lacks.set(origin, { head, tellers: new Set([teller]), tries: 0, dueMs: now.monotonicMs + afterMs });
    return isFirst ? afterMs : undefined;
  }

  /** Whom to ask for what now. `isHeld`: it has come by itself. Returns when to come back, too. */
  pulls(
    isHeld: (origin: OriginId, head: number) => boolean,
    now: Now,
  ): { pulls: Pull[]; wakeAfterMs: number | undefined } {
    const pulls: Pull[] = [];
    let soonest: number | undefined;
    for (const [origin, lack] of this.#lacks) {
      if (isHeld(origin, lack.head)) this.#lacks.delete(origin);
      else if (lack.dueMs <= now.monotonicMs) this.#ask(origin, lack, pulls, now);
      if (!this.#lacks.has(origin)) continue;
      soonest = Math.min(soonest ?? Infinity, Math.max(1, lack.dueMs - now.monotonicMs));
    }
    return { pulls, wakeAfterMs: soonest };
  }

  forgetPeer(peer: NodeId): void {
    for (const lack of this.#lacks.values()) lack.tellers.delete(peer);
  }

  #ask(origin: OriginId, lack: Lack, pulls: Pull[], now: Now): void {
    const [teller] = lack.tellers;
    if (teller === undefined || lack.tries >= this.#config.pullAfterMs.length) {
      this.#lacks.delete(origin);
      return;
    }
    lack.tellers.delete(teller); // The next to be asked is another, unless it is the only one.
    lack.tellers.add(teller);
    pulls.push({ origin, head: lack.head, from: teller });
    lack.tries++;
    lack.dueMs = now.monotonicMs + (this.#config.pullAfterMs[lack.tries] ?? this.#config.pullAfterMs.at(-1) ?? 0);
  }
}
