/**
 * Seals what this node sends and opens what others sent, with AES-256-GCM.
 *
 * Every sender has a key of its own for every boot, derived from the cluster's by HKDF-SHA256 (RFC 5869), and counts its
 * datagrams: the counter is the nonce. So no two datagrams ever share key and nonce, however many nodes send however much;
 * with one shared key and random nonces, a thousand nodes would be at NIST's limit (SP 800-38D §8.3) within days.
 *
 * A replay is refused by the sender's window, for as long as the sender is remembered. Right after this node's own start
 * an old datagram may pass once, and one that was recorded on its way to another member passes at any time: a seal says who made
 * it, not for whom. Membership orders what it says by boot and incarnation, and takes for a sign of life only what names this
 * member, or answers a ping of its own.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { assert, ByteWriter, type ClusterId, clusterTag, must, type NodeId } from "@patina/base";
import { acceptedKey, type Keyring } from "../keyring/keyring.js";
import {
  decodePacketHeader,
  encodePacketHeader,
  HEADER_BYTES,
  PACKET_BYTES_MAX,
  type PacketHeader,
  SEAL_BYTES,
  TAG_BYTES,
} from "./packet.js";
import { type Sender, Senders } from "./senders.js";

/** Plain data: it may cross to another thread. */
export interface SealerOptions {
  readonly cluster: ClusterId;
  readonly node: NodeId;
  readonly boot: number;
  readonly keyring: Keyring;
  /**
   * Where this node begins to count, drawn at random: so not even two copies of one node's disk, started in the same
   * millisecond, share a nonce.
   */
  readonly firstCounter: number;
  /** Senders remembered. More than a cluster may have members, or replays of the forgotten ones pass. */
  readonly sendersMax: number;
  /**
   * How far a sender's boot (Unix ms) may be ahead of our clock, as membership has it. One from far beyond would put every
   * later boot of its node out of reach.
   */
  readonly bootAheadMs: number;
}

export type DatagramRefusal =
  /** Not a sealed datagram at all: plaintext, noise, another version. */
  | "not-sealed"
  | "foreign-cluster"
  | "unknown-epoch"
  /** Sealed with another key than it says, or changed on its way. */
  | "forged"
  /** Seen before, or too old to know. */
  | "replayed"
  /** Our own, sent back to us. */
  | "reflected"
  | "boot-ahead";

export type Opened = { readonly bytes: Uint8Array } | { readonly refused: DatagramRefusal };

export class Sealer {
  readonly #options: SealerOptions;
  readonly #clusterTag: number;
  readonly #senders: Senders;
  #keyring: Keyring;
  #own: KeyObject;
  #counter: number;

  constructor(options: SealerOptions) {
    this.#options = options;
    this.#clusterTag = clusterTag(options.cluster);
    this.#senders = new Senders(options.sendersMax);
    this.#counter = options.firstCounter;
    this.#keyring = options.keyring;
    this.#own = this.#ownKey();
  }

  /** Senders remembered right now. */
  get senders(): number {
    return this.#senders.size;
  }

  /** From now on: seal with this ring's primary, open with any of its keys. */
  replaceKeys(keyring: Keyring): void {
    this.#keyring = keyring;
    this.#own = this.#ownKey();
    this.#senders.forgetKeys();
  }

  /** `bytes` and `SEAL_BYTES` make at most `PACKET_BYTES_MAX`. */
  seal(bytes: Uint8Array): Uint8Array {
    assert(bytes.length + SEAL_BYTES <= PACKET_BYTES_MAX, "a datagram leaves room for its seal");
    const { node, boot } = this.#options;
    const counter = this.#counter++;
    const header = encodePacketHeader({
      epoch: this.#keyring.primary,
      clusterTag: this.#clusterTag,
      node,
      boot,
      counter,
    });
    const cipher = createCipheriv("aes-256-gcm", this.#own, nonceOf(counter), { authTagLength: TAG_BYTES });
    cipher.setAAD(header);
    return Buffer.concat([header, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
  }

  /** What was sealed, once: or why it is refused, with nothing remembered of it. */
  open(packet: Uint8Array, wallMs: number): Opened {
    const header = decodePacketHeader(packet);
    if (header === undefined) return { refused: "not-sealed" };
    const { node, boot, counter, epoch } = header;
    const sender = this.#senders.get(node);
    const refused = this.#whyRefuse(header, sender, wallMs);
    if (refused !== undefined) return { refused };
    const key = (sender?.boot === boot ? sender.keys.get(epoch) : undefined) ?? this.#keyOf(epoch, node, boot);
    if (key === undefined) return { refused: "unknown-epoch" };
    const bytes = decrypt(key, counter, packet);
    if (bytes === undefined) return { refused: "forged" };
    this.#senders.heard(node, boot, counter, epoch, key);
    return { bytes };
  }

  /** What can be told without a key: cheaper than trying one. */
  #whyRefuse(header: PacketHeader, sender: Sender | undefined, wallMs: number): DatagramRefusal | undefined {
    const { node, boot, counter } = header;
    const { node: self, boot: ownBoot, bootAheadMs } = this.#options;
    if (header.clusterTag !== this.#clusterTag) return "foreign-cluster";
    if (boot > wallMs + bootAheadMs) return "boot-ahead";
    if (node === self && boot === ownBoot) return "reflected";
    if (sender === undefined || boot > sender.boot) return undefined;
    return boot < sender.boot || !sender.window.isFresh(counter) ? "replayed" : undefined;
  }

  #ownKey(): KeyObject {
    const { node, boot } = this.#options;
    return must(this.#keyOf(this.#keyring.primary, node, boot), "the keyring has its primary");
  }

  #keyOf(epoch: number, node: NodeId, boot: number): KeyObject | undefined {
    const clusterKey = acceptedKey(this.#keyring, epoch);
    if (clusterKey === undefined) return undefined;
    const { name, generation } = this.#options.cluster;
    const info = new ByteWriter().text("swim").text(name).varint(generation).hex(node).u64(BigInt(boot)).view();
    return createSecretKey(Buffer.from(hkdfSync("sha256", clusterKey, "patina", info, 32)));
  }
}

function decrypt(key: KeyObject, counter: number, packet: Uint8Array): Uint8Array | undefined {
  const end = packet.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(counter), { authTagLength: TAG_BYTES });
  decipher.setAAD(packet.subarray(0, HEADER_BYTES));
  decipher.setAuthTag(packet.subarray(end));
  const bytes = decipher.update(packet.subarray(HEADER_BYTES, end));
  try {
    decipher.final();
  } catch {
    return undefined; // The only thing it checks is the tag.
  }
  return bytes;
}

/** 96 bits: 32 of zero, and the counter. */
function nonceOf(counter: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(counter), 4);
  return nonce;
}
