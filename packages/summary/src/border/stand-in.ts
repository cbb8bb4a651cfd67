/**
 * Who publishes when the one that should does not: its certificate may have expired, its way to the global tier be cut, or it
 * may never have caught up, and for its peers it is alive all the same. And a border that sees less than half of its region,
 * itself cut off perhaps, or a copy of another, is not the one that should.
 *
 * The others look now and then at how old the region's heartbeat is at the global tier, the first of them most often. One that
 * finds it old twice stands in, until another's heartbeat shows there that it is not needed any more.
 *
 *   watching ──old, and still old at the next look──► standing in ──another beats, or its own turn──► watching
 */
import type { NodeId, Now } from "@patina/base";
import type { BorderConfig } from "./config.js";

/** The region's heartbeat as a global agent has it. */
export interface Standing {
  readonly ageMs: number;
  /** Where the agent that sent it serves HTTP. */
  readonly by: string;
}

/** From this place in the order on, looks become no rarer. */
const RAREST_PLACE = 6;
/** Looks are not in step with heartbeats: right after its own, one that stands in would never see another's. */
const OUT_OF_STEP = 1.1;

export class StandIn {
  readonly #config: BorderConfig;
  readonly #api: string;
  #isNeeded = false;
  #wasOld = false;
  #nextLookMs = Infinity;

  /** `api`: where this agent serves HTTP. */
  constructor(config: BorderConfig, api: string) {
    this.#config = config;
    this.#api = api;
  }

  /** It is to publish although it is not its turn. */
  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  /** It may not publish, or it is its turn anyway. */
  rest(): void {
    [this.#isNeeded, this.#wasOld, this.#nextLookMs] = [false, false, Infinity];
  }

  /** It is not its turn: it comes at this place, 0 the first. True when it is time to look. */
  isLookDue(place: number, { monotonicMs }: Now): boolean {
    const everyMs = OUT_OF_STEP * this.#config.heartbeatMs * 2 ** Math.min(place, RAREST_PLACE);
    if (this.#nextLookMs === Infinity) this.#nextLookMs = monotonicMs + everyMs;
    if (monotonicMs < this.#nextLookMs) return false;
    this.#nextLookMs = monotonicMs + everyMs;
    return true;
  }

  /** Undefined: the global tier has never heard of the region. */
  onStanding(standing: Standing | undefined): void {
    if (this.#nextLookMs === Infinity) return; // Of a look before its turn came.
    const isOld = standing === undefined || standing.ageMs > this.#config.standInAfterMs;
    if (!this.#isNeeded) this.#isNeeded = isOld && this.#wasOld;
    else if (!isOld && standing.by !== this.#api) this.#isNeeded = false;
    this.#wasOld = isOld;
  }
}

/** Does a border see at least half of those enlisted, itself among them? */
export function seesHalf(enlisted: readonly NodeId[], running: ReadonlySet<NodeId>): boolean {
  return enlisted.filter((node) => running.has(node)).length * 2 >= enlisted.length;
}
