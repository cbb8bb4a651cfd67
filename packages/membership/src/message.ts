/**
 * The datagram: who sends it, then any number of messages.
 *
 *   magic u8 · version u8 · clusterTag u32 · sender record · message*          (see `base/bytes.ts` for varint, text)
 *
 *   record   nodeId 16 bytes · boot varint · incarnation varint · state u8 · address text · api text
 *   message  kind u8, then
 *     1 ping            seq varint · target 16 bytes · rosterHash u32
 *     2 ack             seq varint · rosterHash u32 · lagMs varint
 *     3 ping-request    seq varint · target 16 bytes · address text
 *     4 relayed-ack     seq varint · target 16 bytes
 *     5 nack            seq varint
 *     6 roster-request  (nothing)
 *     7 rumour          record · accuser 16 bytes if suspect · ageMs varint if dead or left
 *
 * Every datagram introduces its sender in full: there is no unknown sender to ask back, and every datagram carries the
 * refutation of whatever is said about its sender. A ping names its target, because addresses are reused.
 */
import {
  ByteReader,
  ByteWriter,
  type ClusterId,
  clusterTag,
  MalformedError,
  type NodeId,
  NODE_ID_LENGTH,
  unreachable,
} from "@patina/base";
import { isAddress, type Member, type MemberState } from "./member.js";

export interface Rumour {
  readonly kind: "rumour";
  readonly member: Member;
  /** Who found a suspect silent. Distinct accusers confirm a suspicion. */
  readonly accuser?: NodeId;
  /** For how long the node has been dead or left, so that all forget it at about the same time. */
  readonly ageMs?: number;
}

export type Message =
  | { readonly kind: "ping"; readonly seq: number; readonly target: NodeId; readonly rosterHash: number }
  /** `lagMs`: for how long the sender's own work has not come to its turn, though its membership answers. */
  | { readonly kind: "ack"; readonly seq: number; readonly rosterHash: number; readonly lagMs: number }
  | { readonly kind: "ping-request"; readonly seq: number; readonly target: NodeId; readonly address: string }
  | { readonly kind: "relayed-ack"; readonly seq: number; readonly target: NodeId }
  | { readonly kind: "nack"; readonly seq: number }
  | { readonly kind: "roster-request" }
  | Rumour;

export interface Datagram {
  readonly sender: Member;
  readonly messages: readonly Message[];
}

export interface TextLimits {
  readonly addressBytesMax: number;
  readonly apiBytesMax: number;
}

const MAGIC = 0xb7;
const VERSION = 1;
const STATES: readonly MemberState[] = ["alive", "suspect", "dead", "left"];
const KINDS: Readonly<Record<Message["kind"], number>> = {
  ping: 1,
  ack: 2,
  "ping-request": 3,
  "relayed-ack": 4,
  nack: 5,
  "roster-request": 6,
  rumour: 7,
};

/** What every datagram of `sender` begins with; encoded messages follow it. */
export function encodeHeader(cluster: ClusterId, sender: Member): Uint8Array {
  const writer = new ByteWriter().u8(MAGIC).u8(VERSION).u32(clusterTag(cluster));
  writeRecord(writer, sender);
  return writer.done();
}

export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter(96).u8(KINDS[message.kind]);
  switch (message.kind) {
    case "ping":
      return writer.varint(message.seq).hex(message.target).u32(message.rosterHash).done();
    case "ack":
      return writer.varint(message.seq).u32(message.rosterHash).varint(message.lagMs).done();
    case "ping-request":
      return writer.varint(message.seq).hex(message.target).text(message.address).done();
    case "relayed-ack":
      return writer.varint(message.seq).hex(message.target).done();
    case "nack":
      return writer.varint(message.seq).done();
    case "roster-request":
      return writer.done();
    case "rumour":
      return writeRumour(writer, message).done();
    default:
      return unreachable(message);
  }
}

/** Throws `MalformedError`, and nothing else, on whatever is not a datagram of ours. */
export function decodeDatagram(
  bytes: Uint8Array,
  cluster: ClusterId,
  limits: TextLimits,
): Datagram | "foreign-cluster" {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== MAGIC) throw new MalformedError("not a membership datagram");
  const version = reader.u8();
  if (version !== VERSION) throw new MalformedError(`datagram version ${version}`);
  if (reader.u32() !== clusterTag(cluster)) return "foreign-cluster";
  const sender = readRecord(reader, limits);
  if (sender.state !== "alive" && sender.state !== "left") throw new MalformedError("a sender that accuses itself");
  const messages: Message[] = [];
  while (!reader.isAtEnd) messages.push(readMessage(reader, limits));
  return { sender, messages };
}

function readMessage(reader: ByteReader, limits: TextLimits): Message {
  const kind = reader.u8();
  switch (kind) {
    case KINDS.ping:
      return { kind: "ping", seq: reader.varint(), target: reader.hex(NODE_ID_LENGTH), rosterHash: reader.u32() };
    case KINDS.ack:
      return { kind: "ack", seq: reader.varint(), rosterHash: reader.u32(), lagMs: reader.varint() };
    case KINDS["ping-request"]: {
      const seq = reader.varint();
      const target = reader.hex(NODE_ID_LENGTH);
      return { kind: "ping-request", seq, target, address: readAddress(reader, limits) };
    }
    case KINDS["relayed-ack"]:
      return { kind: "relayed-ack", seq: reader.varint(), target: reader.hex(NODE_ID_LENGTH) };
    case KINDS.nack:
      return { kind: "nack", seq: reader.varint() };
    case KINDS["roster-request"]:
      return { kind: "roster-request" };
    case KINDS.rumour:
      return readRumour(reader, limits);
    default:
      throw new MalformedError(`message kind ${kind}`);
  }
}

function writeRumour(writer: ByteWriter, { member, accuser, ageMs }: Rumour): ByteWriter {
  writeRecord(writer, member);
  if (member.state === "suspect") writer.hex(accuser ?? member.nodeId);
  if (member.state === "dead" || member.state === "left") writer.varint(Math.max(0, Math.floor(ageMs ?? 0)));
  return writer;
}

function readRumour(reader: ByteReader, limits: TextLimits): Rumour {
  const member = readRecord(reader, limits);
  if (member.state === "suspect") return { kind: "rumour", member, accuser: reader.hex(NODE_ID_LENGTH) };
  if (member.state === "alive") return { kind: "rumour", member };
  return { kind: "rumour", member, ageMs: reader.varint() };
}

function writeRecord(writer: ByteWriter, member: Member): void {
  writer.hex(member.nodeId).varint(member.boot).varint(member.incarnation).u8(STATES.indexOf(member.state));
  writer.text(member.address).text(member.meta.api);
}

function readRecord(reader: ByteReader, limits: TextLimits): Member {
  const nodeId = reader.hex(NODE_ID_LENGTH);
  const boot = reader.varint();
  const incarnation = reader.varint();
  const state = STATES[reader.u8()];
  if (state === undefined) throw new MalformedError("an unknown member state");
  const address = readAddress(reader, limits);
  return { nodeId, boot, incarnation, state, address, meta: { api: reader.text(limits.apiBytesMax) } };
}

function readAddress(reader: ByteReader, limits: TextLimits): string {
  const address = reader.text(limits.addressBytesMax);
  if (!isAddress(address)) throw new MalformedError("an address that is not host:port");
  return address;
}
