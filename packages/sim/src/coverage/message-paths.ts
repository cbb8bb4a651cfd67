/**
 * The paths that only membership's datagrams show. They are read with the production codec, and only until all of these
 * paths have been seen.
 */
import type { NodeId } from "@patina/base";
import type { NodeEffect, NodeInput } from "@patina/agent";
import { decodeDatagram, type Message, type TextLimits } from "@patina/membership";
import { SIM_CLUSTER } from "../machine/cluster.js";
import type { PathName } from "./paths.js";

const MESSAGE_PATHS: Partial<Record<Message["kind"], PathName>> = {
  "relayed-ack": "a probe was answered through a helper",
  nack: "a helper heard nothing and said so",
  "roster-request": "rosters were exchanged",
};

const FRAME_PATH: PathName = "a frame stood in for an answer";
const WATCHED: readonly PathName[] = [...Object.values(MESSAGE_PATHS), FRAME_PATH];

/** The last ping of a node, and what came from its target since. */
interface Ping {
  readonly target: NodeId;
  heard: boolean;
  framed: boolean;
}

export class MessagePaths {
  readonly #limits: TextLimits;
  readonly #seen: Set<PathName>;
  readonly #pings = new Map<number, Ping>();
  /** By node and stream, who is at the other end: the frames themselves do not say. */
  readonly #peers = new Map<string, NodeId>();

  constructor(limits: TextLimits, seen: Set<PathName>) {
    this.#limits = limits;
    this.#seen = seen;
  }

  onStep(node: number, input: NodeInput, effects: readonly NodeEffect[]): void {
    if (WATCHED.every((path) => this.#seen.has(path))) return;
    if (input.kind === "datagram") this.#onDatagram(node, input.bytes);
    if (input.kind === "stream-frame") this.#onFrame(node, input.stream, input.bytes);
    const isRound = input.kind === "wake" && input.timer.kind === "membership" && input.timer.timer.kind === "probe";
    if (isRound) this.#onRound(node, effects);
  }

  #onDatagram(node: number, bytes: Uint8Array): void {
    const datagram = decodeDatagram(bytes, SIM_CLUSTER, this.#limits);
    if (datagram === "foreign-cluster") return;
    const ping = this.#pings.get(node);
    if (ping?.target === datagram.sender.nodeId) ping.heard = true;
    for (const message of datagram.messages) {
      const path = MESSAGE_PATHS[message.kind];
      if (path !== undefined) this.#seen.add(path);
      if (message.kind === "relayed-ack" && message.target === ping?.target) ping.heard = true;
    }
  }

  /** A hello names the node at the other end. */
  #onFrame(node: number, stream: string, bytes: Uint8Array): void {
    const key = `${node}/${stream}`;
    if (bytes[0] === 0) this.#peers.set(key, Buffer.from(bytes.subarray(-16)).toString("hex"));
    const ping = this.#pings.get(node);
    if (ping !== undefined && this.#peers.get(key) === ping.target) ping.framed = true;
  }

  /** A round ends: nothing but a frame came from the target, and it is not accused. The next one begins. */
  #onRound(node: number, effects: readonly NodeEffect[]): void {
    const before = this.#pings.get(node);
    const isAccused = effects.some(
      (it) => it.kind === "event" && it.event.kind === "member" && it.event.member.nodeId === before?.target,
    );
    if (before?.framed === true && !before.heard && !isAccused) this.#seen.add(FRAME_PATH);
    this.#pings.delete(node);
    for (const effect of effects) {
      if (effect.kind !== "datagram") continue;
      const datagram = decodeDatagram(effect.bytes, SIM_CLUSTER, this.#limits);
      const ping = datagram === "foreign-cluster" ? undefined : datagram.messages.find(({ kind }) => kind === "ping");
      if (ping?.kind === "ping") this.#pings.set(node, { target: ping.target, heard: false, framed: false });
    }
  }
}
