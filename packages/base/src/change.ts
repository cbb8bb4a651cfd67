/**
 * A change: one version of one origin, atomic on the wire. Gossip moves it without looking inside; the store encodes
 * and decodes `body`. The bytes are captured inside the writing transaction and never re-read, so what peers get is
 * what was committed.
 */
import type { Hlc } from "./hlc.js";
import { type OriginId, ORIGIN_ID_LENGTH } from "./ids.js";
import { type ByteReader, type ByteWriter, MalformedError } from "./bytes.js";

export interface Change {
  readonly origin: OriginId;
  readonly version: number;
  readonly hlc: Hlc;
  readonly body: Uint8Array;
  /**
   * A hash over this change and, through the one before, all of its origin's. Absent when the change was read back from
   * rows: its bytes are not those that were committed then. Two histories under one origin's name do not fit together.
   */
  readonly chain?: bigint;
}

/** Stands on the wire for a chain that is not known. */
const NO_CHAIN = 0n;

/** What `change` takes on the wire beside its body, at most. */
const HEADER_BYTES_MAX = ORIGIN_ID_LENGTH / 2 + 8 + 8 + 8 + 4;

export function changeBytes(change: Change): number {
  return HEADER_BYTES_MAX + change.body.length;
}

export function writeChange(writer: ByteWriter, change: Change): void {
  const { origin, version, hlc, body, chain = NO_CHAIN } = change;
  writer.hex(origin).varint(version).u64(hlc).u64(chain).bytes(body);
}

/** The greatest version there can be: one more must still be a safe integer. */
export const VERSION_MAX = Number.MAX_SAFE_INTEGER - 1;

/** The greatest stamp taken from outside (the year 4199): far from where the clocks that follow it would overflow. */
export const HLC_MAX: Hlc = (1n << 62n) - 1n;

/** A stamp as it came: one that would run every clock out of 64 bits is refused at the door. */
export function readHlc(reader: ByteReader): Hlc {
  const hlc = reader.u64();
  if (hlc > HLC_MAX) throw new MalformedError("a stamp beyond 62 bits");
  return hlc;
}

export function readChange(reader: ByteReader, bodyBytesMax: number): Change {
  const origin = reader.hex(ORIGIN_ID_LENGTH);
  const version = reader.varint();
  if (version < 1 || version > VERSION_MAX) throw new MalformedError(`version ${version}`);
  const hlc = readHlc(reader);
  const chain = reader.u64();
  const body = reader.bytes(bodyBytesMax).slice();
  return chain === NO_CHAIN ? { origin, version, hlc, body } : { origin, version, hlc, body, chain };
}
