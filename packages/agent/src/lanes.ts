/**
 * What waits to leave for one peer, in lanes by what it is worth, each bounded in bytes. Little is given to the transport at a
 * time, so that what matters more can still overtake.
 *
 *   control   greetings, anti-entropy's questions, heads
 *   urgent    own changes that delete something: a proxy must stop sending there
 *   own       other own changes
 *   relayed   changes passed on for others
 *   repair    answers to wants; a tenth of what leaves, at least, so that catching up never starves
 *
 * A full lane takes nothing more: what came first is the prefix a peer can apply, and the rest is only missing. The peer is
 * then lagging: it gets heads instead of changes until the lanes have run empty, and is compared with. A lane of answers that
 * was full once stays so until it is empty: the end of an answer must not come without what it depends on.
 */
import type { AgentConfig } from "./config.js";

export type Lane = "control" | "urgent" | "own" | "relayed" | "repair";

const BY_RANK: readonly Lane[] = ["control", "urgent", "own", "relayed", "repair"];
/** Of so many bytes that leave, one is of a repair if there is any. */
const REPAIR_SHARE = 10;

interface Queue {
  readonly frames: Uint8Array[];
  next: number;
  bytes: number;
}

export class Lanes {
  readonly #config: AgentConfig;
  readonly #queues = new Map<Lane, Queue>(BY_RANK.map((lane) => [lane, { frames: [], next: 0, bytes: 0 }]));
  /** Given to the transport, and not gone yet. */
  #unflushed = 0;
  #sinceRepair = 0;
  #isLagging = false;
  #isRepairFull = false;

  constructor(config: AgentConfig) {
    this.#config = config;
  }

  get isLagging(): boolean {
    return this.#isLagging;
  }

  /** Nothing of this lane waits: what is added leaves next. */
  isIdle(lane: Lane): boolean {
    return this.#queue(lane).bytes === 0;
  }

  /** Takes a frame in; false when its lane is full, or its changes are of no use to a peer that lags. */
  add(lane: Lane, frame: Uint8Array): boolean {
    const queue = this.#queue(lane);
    const isChange = lane === "urgent" || lane === "own" || lane === "relayed";
    const wasFull = lane === "repair" && this.#isRepairFull;
    const isFull = queue.bytes > 0 && (wasFull || queue.bytes + frame.length > this.#config.laneBytesMax[lane]);
    if (lane === "repair") this.#isRepairFull = isFull;
    if (isChange && isFull) this.#isLagging = true;
    if (isFull || (isChange && this.#isLagging)) return false;
    queue.frames.push(frame);
    queue.bytes += frame.length;
    return true;
  }

  /** So many bytes have gone. True when a peer that lagged has caught up. */
  onFlushed(bytes: number): boolean {
    this.#unflushed = Math.max(0, this.#unflushed - bytes);
    const hasChanges = !this.isIdle("urgent") || !this.isIdle("own") || !this.isIdle("relayed");
    if (!this.#isLagging || hasChanges || this.#unflushed > 0) return false;
    this.#isLagging = false;
    return true;
  }

  /** What may leave now, in order. */
  leaving(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    while (this.#unflushed < this.#config.peerWindowBytes) {
      const frame = this.#take();
      if (frame === undefined) break;
      this.#unflushed += frame.length;
      frames.push(frame);
    }
    return frames;
  }

  #take(): Uint8Array | undefined {
    const repair = this.#queue("repair");
    const isRepairDue = repair.bytes > 0 && this.#sinceRepair >= REPAIR_SHARE * this.#config.gossip.frameBytesMax;
    const lane = isRepairDue ? "repair" : BY_RANK.find((each) => this.#queue(each).bytes > 0);
    if (lane === undefined) return undefined;
    const frame = shift(this.#queue(lane));
    this.#sinceRepair = lane === "repair" ? 0 : this.#sinceRepair + (frame?.length ?? 0);
    return frame;
  }

  #queue(lane: Lane): Queue {
    return this.#queues.get(lane) as Queue;
  }
}

/** Frames are taken from the front, and the rest is moved up once for as many as were taken. */
function shift(queue: Queue): Uint8Array | undefined {
  const frame = queue.frames[queue.next++];
  queue.bytes -= frame?.length ?? 0;
  // What has left is let go of: a lane that never runs empty must not keep all it ever held.
  if (queue.next * 2 >= queue.frames.length) {
    queue.frames.splice(0, queue.next);
    queue.next = 0;
  }
  return frame;
}
