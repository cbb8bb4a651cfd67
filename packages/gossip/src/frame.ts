/**
 * What members say to each other on a stream. A frame is a type byte and a body; the transport keeps frames whole.
 *
 *   hello ──►           who is calling, of which cluster and generation; nothing else is read before it
 *   ◄── hello
 *   changes ──►         broadcast, or the answer to a want
 *   sum ──►             anti-entropy begins: a fingerprint of what I hold, and the digest of my state
 *   ◄── sum             …equal: nothing to do, and the digests must be equal too
 *   ◄── holdings        …or not: here is what I hold
 *   want ──►            send me these
 *   ◄── repairing       what follows is read from my rows, which say no more than I hold: this much
 *   ◄── changes, empty, repaired
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

export const PROTOCOL_VERSION = 1;

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

export type Frame =
  | { readonly kind: "hello"; readonly protocol: number; readonly cluster: ClusterId; readonly node: NodeId }
  | { readonly kind: "changes"; readonly changes: readonly Change[] }
  | ({ readonly kind: "sum"; readonly holdingsHash: string; readonly digest: string } & Report)
  | ({ readonly kind: "holdings"; readonly holdings: Holdings } & Report)
  | { readonly kind: "want"; readonly wants: readonly OriginRanges[] }
  | { readonly kind: "empty"; readonly empties: readonly OriginRanges[] }
  | { readonly kind: "repaired"; readonly isComplete: boolean }
  | { readonly kind: "repairing"; readonly basis: Heads };

const KINDS = ["hello", "changes", "sum", "holdings", "want", "empty", "repaired", "repairing"] as const;

const HASH_HEX = 16;
const DIGEST_HEX = 64;
/** Stands for a digest in a sum whose sender has changes in quarantine. No state has it. */
export const NOT_COMPARABLE = "0".repeat(DIGEST_HEX);
const NAME_BYTES_MAX = 256;
/** Far above a transaction's limit, far below what would hurt: the store judges what is inside. */
const CHANGE_BYTES_MAX = 16 << 20;

export function encodeFrame(frame: Frame): Uint8Array {
  const writer = new ByteWriter(frame.kind === "changes" ? 1024 : 256);
  writer.u8(KINDS.indexOf(frame.kind));
  switch (frame.kind) {
    case "hello":
      return writer
        .varint(frame.protocol)
        .text(frame.cluster.name)
        .varint(frame.cluster.generation)
        .hex(frame.node)
        .done();
    case "changes":
      writer.varint(frame.changes.length);
      for (const change of frame.changes) writeChange(writer, change);
      return writer.done();
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
    case "repaired":
      return writer.u8(frame.isComplete ? 1 : 0).done();
    default:
      return unreachable(frame);
  }
}

/** What a frame says it is, without reading the rest of it; undefined for what is no frame. */
export function frameKind(bytes: Uint8Array): Frame["kind"] | undefined {
  return KINDS[bytes[0] ?? -1];
}

/** Throws `MalformedError`, and nothing else, for bytes that are no frame. */
export function decodeFrame(bytes: Uint8Array, config: GossipConfig): Frame {
  const reader = new ByteReader(bytes);
  const frame = readBody(KINDS[reader.u8()], reader, config);
  if (!reader.isAtEnd) throw new MalformedError(`bytes after a ${frame.kind} frame`);
  return frame;
}

function readBody(kind: Frame["kind"] | undefined, reader: ByteReader, config: GossipConfig): Frame {
  switch (kind) {
    case "hello": {
      const protocol = reader.varint();
      const name = reader.text(NAME_BYTES_MAX);
      return { kind, protocol, cluster: { name, generation: reader.varint() }, node: reader.hex(NODE_ID_LENGTH) };
    }
    case "changes": {
      const changes: Change[] = [];
      for (let left = reader.count(reader.remaining); left > 0; left--)
        changes.push(readChange(reader, CHANGE_BYTES_MAX));
      return { kind, changes };
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
