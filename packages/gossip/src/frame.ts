/**
 * What members say to each other on a stream. A frame is a type byte and a body; the transport keeps frames whole. Types from
 * 128 on are optional: who does not know one ignores it, so that a newer release may say more.
 *
 *   hello ──►           who is calling, of which cluster and generation; nothing else is read before it
 *   ◄── hello
 *   changes ──►         broadcast, or the answer to a want
 *   relay ──►           broadcast, to be passed on to the members within an interval of the hash space
 *   heads ──►           of these origins I hold so much: ask me for what you lack
 *   sum ──►             anti-entropy begins: a fingerprint of what I hold, and the digest of my state
 *   ◄── sum             …equal: nothing to do, and the digests must be equal too
 *   ◄── holdings        …or not: here is what I hold
 *   want ──►            send me these
 *   ◄── repairing       what follows is read from my rows, which say no more than I hold: this much
 *   ◄── changes, empty, repaired
 *   snapshot-want ──►   I am so far behind that I would rather have all your rows, from here on
 *   ◄── snapshot        a piece of them
 *   holdings ──►        and this is what I hold, so that you can ask for what you lack
 */
import {
  ByteReader,
  ByteWriter,
  type Change,
  type ClusterId,
  type Heads,
  type Holdings,
  MalformedError,
  type NodeId,
  NODE_ID_LENGTH,
  type OriginId,
  ORIGIN_ID_LENGTH,
  type Ranges,
  readChange,
  readHeads,
  readHoldings,
  readRanges,
  unreachable,
  writeChange,
  writeHeads,
  writeHoldings,
  writeRanges,
} from "@patina/base";
import type { GossipConfig } from "./config.js";
import type { Interval } from "./groups.js";
import type { ProtocolRange } from "./protocol-range.js";

/** Versions of an origin: wanted, or known to be empty. */
export interface OriginRanges {
  readonly origin: OriginId;
  readonly versions: Ranges;
}

/** What a member says it holds. */
interface Report {
  readonly isReply: boolean;
  /** It would still hold it after a loss of power: only then may others forget what it holds, too. */
  readonly isDurable: boolean;
}

/** Some of a member's rows, and what they may depend on. */
export interface SnapshotPiece {
  /** Where it begins, as it was asked for: an answer that comes late must not be taken for another. */
  readonly after: Uint8Array;
  /** What the member holds and has applied, now. */
  readonly holdings: Holdings;
  readonly basis: Heads;
  /** Rows by the version that wrote them. Its others may be in another piece. */
  readonly changes: readonly Change[];
  /** Where the next piece begins, to be sent back as it is; empty after the last. */
  readonly next: Uint8Array;
}

export type Frame =
  | { readonly kind: "hello"; readonly protocol: ProtocolRange; readonly cluster: ClusterId; readonly node: NodeId }
  | { readonly kind: "changes"; readonly changes: readonly Change[] }
  | ({ readonly kind: "sum"; readonly holdingsHash: string; readonly digest: string } & Report)
  | ({ readonly kind: "holdings"; readonly holdings: Holdings } & Report)
  | { readonly kind: "want"; readonly wants: readonly OriginRanges[] }
  | { readonly kind: "empty"; readonly empties: readonly OriginRanges[] }
  | { readonly kind: "repaired"; readonly isComplete: boolean }
  | { readonly kind: "repairing"; readonly basis: Heads }
  | { readonly kind: "relay"; readonly interval: Interval; readonly changes: readonly Change[] }
  | { readonly kind: "heads"; readonly heads: Heads }
  | { readonly kind: "snapshot-want"; readonly after: Uint8Array }
  | ({ readonly kind: "snapshot" } & SnapshotPiece);

/** From a newer release, which does not expect it to be understood. */
export interface UnknownFrame {
  readonly kind: "unknown";
}

const KINDS = [
  "hello",
  "changes",
  "sum",
  "holdings",
  "want",
  "empty",
  "repaired",
  "repairing",
  "relay",
  "heads",
  "snapshot-want",
  "snapshot",
] as const;
const OPTIONAL_FROM = 128;

const HASH_HEX = 16;
const DIGEST_HEX = 64;
/** Stands for a digest in a sum whose sender has changes in quarantine. No state has it. */
export const NOT_COMPARABLE = "0".repeat(DIGEST_HEX);
const NAME_BYTES_MAX = 256;
const CURSOR_BYTES_MAX = 2 << 20;
/** Far above a transaction's limit, far below what would hurt: the store judges what is inside. */
const CHANGE_BYTES_MAX = 16 << 20;

export function encodeFrame(frame: Frame): Uint8Array {
  const writer = new ByteWriter(frame.kind === "changes" || frame.kind === "relay" ? 1024 : 256);
  writer.u8(KINDS.indexOf(frame.kind));
  switch (frame.kind) {
    case "hello":
      return writer
        .varint(frame.protocol.oldest)
        .varint(frame.protocol.newest)
        .text(frame.cluster.name)
        .varint(frame.cluster.generation)
        .hex(frame.node)
        .done();
    case "changes":
      return writeChanges(writer, frame.changes).done();
    case "relay":
      return writeChanges(writer.u32(frame.interval.low).u32(frame.interval.high - 1), frame.changes).done();
    case "sum":
      return writer.hex(frame.holdingsHash).hex(frame.digest).u8(flagsOf(frame)).done();
    case "holdings":
      writeHoldings(writer, frame.holdings);
      return writer.u8(flagsOf(frame)).done();
    case "want":
      return writeOriginRanges(writer, frame.wants).done();
    case "empty":
      return writeOriginRanges(writer, frame.empties).done();
    case "repairing":
      writeHeads(writer, frame.basis);
      return writer.done();
    case "heads":
      writeHeads(writer, frame.heads);
      return writer.done();
    case "snapshot-want":
      return writer.bytes(frame.after).done();
    case "snapshot":
      writeHoldings(writer, frame.holdings);
      writeHeads(writer, frame.basis);
      return writeChanges(writer, frame.changes).bytes(frame.after).bytes(frame.next).done();
    case "repaired":
      return writer.u8(frame.isComplete ? 1 : 0).done();
    default:
      return unreachable(frame);
  }
}

/** Where the first piece of a snapshot begins, and what follows the last. */
export const NO_CURSOR = new Uint8Array();

/** Do two pieces of a snapshot begin at one place? */
export function isSameCursor(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** What a frame says it is, without reading the rest of it; undefined for what is no frame. */
export function frameKind(bytes: Uint8Array): Frame["kind"] | undefined {
  return KINDS[bytes[0] ?? -1];
}

/** Throws `MalformedError`, and nothing else, for bytes that are no frame. */
export function decodeFrame(bytes: Uint8Array, config: GossipConfig): Frame | UnknownFrame {
  const reader = new ByteReader(bytes);
  const type = reader.u8();
  if (type >= OPTIONAL_FROM) return { kind: "unknown" };
  const frame = readBody(KINDS[type], reader, config);
  if (!reader.isAtEnd) throw new MalformedError(`bytes after a ${frame.kind} frame`);
  return frame;
}

function readBody(kind: (typeof KINDS)[number] | undefined, reader: ByteReader, config: GossipConfig): Frame {
  switch (kind) {
    case "hello": {
      const protocol = { oldest: reader.varint(), newest: reader.varint() };
      const name = reader.text(NAME_BYTES_MAX);
      return { kind, protocol, cluster: { name, generation: reader.varint() }, node: reader.hex(NODE_ID_LENGTH) };
    }
    case "changes":
      return { kind, changes: readChanges(reader) };
    case "relay":
      return { kind, interval: { low: reader.u32(), high: reader.u32() + 1 }, changes: readChanges(reader) };
    case "heads":
      return { kind, heads: readHeads(reader, config.originsMax) };
    case "snapshot-want":
      return { kind, after: reader.bytes(CURSOR_BYTES_MAX) };
    case "snapshot": {
      const holdings = readHoldings(reader, config.originsMax, config.spansMax);
      const basis = readHeads(reader, config.originsMax);
      const changes = readChanges(reader);
      const after = reader.bytes(CURSOR_BYTES_MAX);
      return { kind, holdings, basis, changes, after, next: reader.bytes(CURSOR_BYTES_MAX) };
    }
    case "sum":
      return { kind, holdingsHash: reader.hex(HASH_HEX), digest: reader.hex(DIGEST_HEX), ...readReport(reader) };
    case "holdings":
      return { kind, holdings: readHoldings(reader, config.originsMax, config.spansMax), ...readReport(reader) };
    case "want":
      return { kind, wants: readOriginRanges(reader, config) };
    case "empty":
      return { kind, empties: readOriginRanges(reader, config) };
    case "repairing":
      return { kind, basis: readHeads(reader, config.originsMax) };
    case "repaired":
      return { kind, isComplete: reader.u8() === 1 };
    case undefined:
      throw new MalformedError("unknown frame type");
    default:
      return unreachable(kind);
  }
}

const REPLY = 1;
const DURABLE = 2;

function flagsOf({ isReply, isDurable }: Report): number {
  return (isReply ? REPLY : 0) | (isDurable ? DURABLE : 0);
}

function readReport(reader: ByteReader): Report {
  const flags = reader.u8();
  return { isReply: (flags & REPLY) !== 0, isDurable: (flags & DURABLE) !== 0 };
}

function writeChanges(writer: ByteWriter, changes: readonly Change[]): ByteWriter {
  writer.varint(changes.length);
  for (const change of changes) writeChange(writer, change);
  return writer;
}

function readChanges(reader: ByteReader): Change[] {
  const changes: Change[] = [];
  for (let left = reader.count(reader.remaining); left > 0; left--) changes.push(readChange(reader, CHANGE_BYTES_MAX));
  return changes;
}

function writeOriginRanges(writer: ByteWriter, items: readonly OriginRanges[]): ByteWriter {
  writer.varint(items.length);
  for (const { origin, versions } of items) {
    writer.hex(origin);
    writeRanges(writer, versions);
  }
  return writer;
}

function readOriginRanges(reader: ByteReader, config: GossipConfig): OriginRanges[] {
  const items: OriginRanges[] = [];
  for (let left = reader.count(config.originsMax); left > 0; left--) {
    items.push({ origin: reader.hex(ORIGIN_ID_LENGTH), versions: readRanges(reader, config.spansMax) });
  }
  return items;
}
