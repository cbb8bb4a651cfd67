/**
 * Streams to the other members. Each member dials every other: what it has to say goes out on the stream it dialed,
 * and answers come back on the stream the question came by. Nothing but a greeting is read from a stream until it has
 * named its cluster, generation and node.
 *
 *   dialing ──opened: hello──► greeting ──hello──► ready ──closed──► (redial while the member is alive)
 *      └───────── too long ────────┴──► closed
 */
import { type ClusterId, type NodeId, sameCluster } from "@patina/base";
import { describeProtocol, encodeFrame, type Frame, haveCommonVersion, PROTOCOL } from "@patina/gossip";
import type { AgentConfig } from "./config.js";
import { type Lane, Lanes } from "./lanes.js";
import type { Effect, StreamFault, StreamId } from "./protocol.js";

interface Stream {
  readonly id: StreamId;
  readonly direction: "in" | "out";
  /** Whom we dialed, or who said hello. */
  node: NodeId | undefined;
  /** Whom the transport has proved to be there, where it proves anything. */
  proven: NodeId | undefined;
  isReady: boolean;
  readonly lanes: Lanes;
}

export interface Refused {
  readonly code: StreamFault;
  readonly reason: string;
}

export class Links {
  readonly #self: NodeId;
  readonly #cluster: ClusterId;
  readonly #config: AgentConfig;
  readonly #streams = new Map<StreamId, Stream>();
  readonly #dialed = new Map<NodeId, StreamId>();
  /** Where the members are that we want a stream to. */
  readonly #wanted = new Map<NodeId, string>();
  /** Dials that failed in a row, by member. */
  readonly #failures = new Map<NodeId, number>();
  /** Members a redial is due to: one timer each, however often they are dialed meanwhile. */
  readonly #redialing = new Set<NodeId>();
  #opened = 0;

  constructor(self: NodeId, cluster: ClusterId, config: AgentConfig) {
    this.#self = self;
    this.#cluster = cluster;
    this.#config = config;
  }

  /** Members there is a way to right now, in a stable order. */
  reachable(): NodeId[] {
    const nodes = new Set<NodeId>();
    for (const { node, isReady } of this.#streams.values()) if (isReady && node !== undefined) nodes.add(node);
    return [...nodes].sort();
  }

  /** A member is alive at an address: have a stream to it. */
  want(node: NodeId, address: string): Effect[] {
    const before = this.#wanted.get(node);
    this.#wanted.set(node, address);
    if (this.#dialed.has(node)) return before === address ? [] : this.#closeDialed(node, "member moved");
    return this.#dial(node, address);
  }

  /** A member is gone: have no stream to it, whoever opened it. */
  unwant(node: NodeId): Effect[] {
    this.#wanted.delete(node);
    this.#failures.delete(node);
    return [...this.#streams.values()].flatMap((it) => (it.node === node ? this.close(it.id, "member gone") : []));
  }

  /** A member is still there, and others have the streams to it now: ours is closed, theirs stay. */
  release(node: NodeId): Effect[] {
    this.#wanted.delete(node);
    this.#failures.delete(node);
    return this.#closeDialed(node, "not needed");
  }

  redial(node: NodeId): Effect[] {
    this.#redialing.delete(node);
    const address = this.#wanted.get(node);
    return address === undefined || this.#dialed.has(node) ? [] : this.#dial(node, address);
  }

  /** A member is back from the dead: what kept it away may have kept others, too. No redial waits any longer. */
  redialAll(): Effect[] {
    this.#failures.clear();
    return [...this.#wanted].flatMap(([node, address]) => (this.#dialed.has(node) ? [] : this.#dial(node, address)));
  }

  onOpened(id: StreamId, direction: "in" | "out", proven?: NodeId): Effect[] {
    if (direction === "in") {
      this.#streams.set(id, { id, direction, node: undefined, proven, isReady: false, lanes: new Lanes(this.#config) });
      return [this.#awaitGreeting(id)];
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return [{ kind: "close-stream", stream: id, reason: "unwanted" }];
    stream.proven = proven;
    return this.#greet(stream);
  }

  onGreetingDue(id: StreamId): Effect[] {
    return this.#streams.get(id)?.isReady === false ? this.close(id, "no greeting") : [];
  }

  /** Who is at the other end, once it has said so; undefined before. */
  nodeOf(id: StreamId): NodeId | undefined {
    const stream = this.#streams.get(id);
    return stream?.isReady === true ? stream.node : undefined;
  }

  /**
   * A greeting. Returns the node when the stream has just become usable, or why it was refused; a refused stream is
   * closed and nothing else has changed.
   */
  onHello(
    id: StreamId,
    hello: Extract<Frame, { kind: "hello" }>,
  ): { effects: Effect[]; node?: NodeId; refused?: Refused } {
    const stream = this.#streams.get(id);
    if (stream === undefined) return { effects: [] };
    const refused = this.#whyRefuse(stream, hello);
    if (refused !== undefined) return { effects: this.close(id, refused.reason), refused };
    stream.node = hello.node;
    stream.isReady = true;
    if (stream.direction === "out") this.#failures.delete(hello.node);
    return { effects: stream.direction === "in" ? this.#greet(stream) : [], node: hello.node };
  }

  close(id: StreamId, reason: string): Effect[] {
    return this.#streams.has(id) ? [{ kind: "close-stream", stream: id, reason }] : [];
  }

  /** The stream is no more. Schedules a redial when it was ours and its member is still wanted. */
  onClosed(id: StreamId, isRefused = false): { effects: Effect[]; node: NodeId | undefined } {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    const node = stream?.node;
    if (node === undefined || stream?.direction !== "out") return { effects: [], node };
    if (this.#dialed.get(node) === id) this.#dialed.delete(node);
    if (!this.#wanted.has(node)) {
      this.#failures.delete(node);
      return { effects: [], node };
    }
    const failures = this.#failures.get(node) ?? 0;
    this.#failures.set(node, failures + 1);
    // Once for each time that it goes: how it was before says nothing, and the first redial found nobody.
    const lost: Effect[] = isRefused && failures === 1 ? [{ kind: "unreachable", node }] : [];
    if (this.#redialing.has(node)) return { effects: lost, node };
    this.#redialing.add(node);
    const { redialMinMs, redialMaxMs } = this.#config;
    const afterMs = Math.min(redialMaxMs, redialMinMs * 2 ** Math.min(failures, 16));
    return { effects: [...lost, { kind: "wake", afterMs, timer: { kind: "redial", node } }], node };
  }

  /** So many bytes have left on a stream. Names its member when that lagged and has caught up. */
  onFlushed(id: StreamId, bytes: number): { effects: Effect[]; caughtUp: NodeId | undefined } {
    const stream = this.#streams.get(id);
    if (stream === undefined) return { effects: [], caughtUp: undefined };
    const hasCaughtUp = stream.lanes.onFlushed(bytes);
    return { effects: leaving(stream), caughtUp: hasCaughtUp ? stream.node : undefined };
  }

  /** Is so much waiting to leave for this member that adding to it only makes it later? */
  isLagging(node: NodeId): boolean {
    return this.#streamTo(node)?.lanes.isLagging === true;
  }

  isReachable(node: NodeId): boolean {
    return this.#streamTo(node) !== undefined;
  }

  /**
   * Sends on the best stream there is; nothing when there is none or its lane is full, which anti-entropy makes good later.
   */
  send(node: NodeId, lane: Lane, bytes: Uint8Array): Effect[] {
    const stream = this.#streamTo(node);
    if (stream === undefined) return [];
    const wasLagging = stream.lanes.isLagging;
    stream.lanes.add(lane, bytes);
    if (!wasLagging && stream.lanes.isLagging) return [{ kind: "event", event: { kind: "peer-lagging", peer: node } }];
    return leaving(stream);
  }

  /** Heads for a member that lags: the newest are enough, and those that wait will do. */
  sendHeads(node: NodeId, bytes: Uint8Array): Effect[] {
    return this.#streamTo(node)?.lanes.isIdle("control") === true ? this.send(node, "control", bytes) : [];
  }

  #streamTo(node: NodeId): Stream | undefined {
    const dialed = this.#streams.get(this.#dialed.get(node) ?? "");
    if (dialed?.isReady === true) return dialed;
    for (const stream of this.#streams.values()) if (stream.node === node && stream.isReady) return stream;
    return undefined;
  }

  #greet(stream: Stream): Effect[] {
    const hello: Frame = { kind: "hello", protocol: PROTOCOL, cluster: this.#cluster, node: this.#self };
    stream.lanes.add("control", encodeFrame(hello));
    return leaving(stream);
  }

  #dial(node: NodeId, address: string): Effect[] {
    const id = `out-${++this.#opened}`;
    this.#streams.set(id, {
      id,
      direction: "out",
      node,
      proven: undefined,
      isReady: false,
      lanes: new Lanes(this.#config),
    });
    this.#dialed.set(node, id);
    return [{ kind: "open-stream", stream: id, node, address }, this.#awaitGreeting(id)];
  }

  /** The other end may be wedged, or no member at all: without an end to waiting, nobody would be dialed again. */
  #awaitGreeting(stream: StreamId): Effect {
    return { kind: "wake", afterMs: this.#config.greetingTimeoutMs, timer: { kind: "greeting", stream } };
  }

  #closeDialed(node: NodeId, reason: string): Effect[] {
    const id = this.#dialed.get(node);
    return id === undefined ? [] : this.close(id, reason);
  }

  #whyRefuse(stream: Stream, hello: Extract<Frame, { kind: "hello" }>): Refused | undefined {
    const { name, generation } = hello.cluster;
    if (!haveCommonVersion(PROTOCOL, hello.protocol)) {
      const reason = `it speaks ${describeProtocol(hello.protocol)}, and this member ${describeProtocol(PROTOCOL)}`;
      return { code: "other-release", reason };
    }
    if (!sameCluster(hello.cluster, this.#cluster)) {
      const code = name === this.#cluster.name ? "other-generation" : "foreign-cluster";
      return { code, reason: `cluster ${name} generation ${generation} is not ours` };
    }
    if (stream.proven !== undefined && stream.proven !== hello.node) {
      return { code: "wrong-node", reason: "its certificate names another node" };
    }
    if (hello.node === this.#self) return { code: "own-node", reason: "it is myself" };
    if (stream.isReady) return { code: "second-greeting", reason: "a second greeting" };
    if (stream.direction === "out" && stream.node !== hello.node) {
      return { code: "wrong-node", reason: "another node answers at that address" };
    }
    return undefined;
  }
}

function leaving({ id, lanes }: Stream): Effect[] {
  return lanes.leaving().map((bytes) => ({ kind: "send", stream: id, bytes }));
}
