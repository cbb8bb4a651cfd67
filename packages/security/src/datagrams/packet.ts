/**
 * A sealed datagram on the wire:
 *
 *   magic u8 · version u8 · key epoch u32 · cluster tag u32 · node 16 bytes · boot u64 · counter u64     (42 bytes, clear)
 *   ciphertext · tag 16 bytes                                               (AES-256-GCM, with the header as its AAD)
 *
 * The header says which key opens it and nothing that an eavesdropper could not see from the addresses.
 */
import { ByteReader, ByteWriter, type NodeId, NODE_ID_LENGTH } from "@patina/base";

const MAGIC = 0xb8;
const VERSION = 1;
export const HEADER_BYTES = 42;
export const TAG_BYTES = 16;
/** What sealing adds to a datagram. */
export const SEAL_BYTES = HEADER_BYTES + TAG_BYTES;
/** The largest that crosses every path without fragments, sealed. */
export const PACKET_BYTES_MAX = 1200;

export interface PacketHeader {
  readonly epoch: number;
  readonly clusterTag: number;
  readonly node: NodeId;
  readonly boot: number;
  readonly counter: number;
}

export function encodePacketHeader({ epoch, clusterTag, node, boot, counter }: PacketHeader): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES).u8(MAGIC).u8(VERSION).u32(epoch).u32(clusterTag);
  return writer.hex(node).u64(BigInt(boot)).u64(BigInt(counter)).done();
}

/** Undefined for whatever is not a sealed datagram of this version. */
export function decodePacketHeader(packet: Uint8Array): PacketHeader | undefined {
  if (packet.length < SEAL_BYTES || packet.length > PACKET_BYTES_MAX) return undefined;
  const reader = new ByteReader(packet);
  if (reader.u8() !== MAGIC || reader.u8() !== VERSION) return undefined;
  const [epoch, clusterTag] = [reader.u32(), reader.u32()];
  const node = reader.hex(NODE_ID_LENGTH);
  const [boot, counter] = [Number(reader.u64()), Number(reader.u64())];
  if (!Number.isSafeInteger(boot) || !Number.isSafeInteger(counter)) return undefined;
  return { epoch, clusterTag, node, boot, counter };
}
