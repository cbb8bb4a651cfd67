/**
 * The byte writer and reader behind every frame, datagram and changeset. Integers are LEB128 varints unless a fixed
 * width is named. A reader never trusts a length: whatever does not fit throws `MalformedError`, which every decoder
 * at a door turns into "refused", with no state changed.
 */
import { assert } from "./assert.js";
import { utf8Length, utf8Read, utf8Write } from "./utf8.js";

/** The bytes are not what the format says. Normal on a network: count it and go on. */
export class MalformedError extends Error {
  constructor(what: string) {
    super(`malformed: ${what}`);
    this.name = "MalformedError";
  }
}

/** Below this, copying byte by byte costs less than the call that copies many. */
const SET_BYTES_MIN = 24;

export class ByteWriter {
  #buffer: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
    this.#view = new DataView(this.#buffer.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  u64(value: bigint): this {
    this.#reserve(8);
    this.#view.setBigUint64(this.#length, value);
    this.#length += 8;
    return this;
  }

  i64(value: bigint): this {
    this.#reserve(8);
    this.#view.setBigInt64(this.#length, value);
    this.#length += 8;
    return this;
  }

  f64(value: number): this {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
    return this;
  }

  /** A non-negative safe integer in 1 to 8 bytes. */
  varint(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, "a varint is a non-negative safe integer");
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  /** Bytes as they are: the reader must know how many. */
  raw(bytes: Uint8Array): this {
    const { length } = bytes;
    this.#reserve(length);
    if (length > SET_BYTES_MIN) this.#buffer.set(bytes, this.#length);
    else for (let i = 0; i < length; i++) this.#buffer[this.#length + i] = bytes[i] as number;
    this.#length += length;
    return this;
  }

  /** A length and the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  text(text: string): this {
    const length = utf8Length(text);
    this.varint(length);
    this.#reserve(length);
    this.#length = utf8Write(text, this.#buffer, this.#length);
    return this;
  }

  /** Hex digits as half as many bytes: the reader must know how many. */
  hex(digits: string): this {
    assert(digits.length % 2 === 0, "hex digits come in pairs");
    this.#reserve(digits.length / 2);
    for (let i = 0; i < digits.length; i += 2) {
      this.#buffer[this.#length++] = (nibble(digits.charCodeAt(i)) << 4) | nibble(digits.charCodeAt(i + 1));
    }
    return this;
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.#buffer.slice(0, this.#length);
  }

  /** What was written, without a copy: only until the next write. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Starts over with the same buffer, so that hot paths need not allocate one. */
  reset(): this {
    this.#length = 0;
    return this;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    // Never a subclass: Node's Buffer, too, has a `slice`, and it does not copy.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8));
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#advance(8));
  }

  f64(): number {
    return this.#view.getFloat64(this.#advance(8));
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new MalformedError("an integer beyond 2^53");
        return value;
      }
      scale *= 0x80;
    }
    throw new MalformedError("an integer of more than 8 bytes");
  }

  raw(length: number): Uint8Array {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** `lengthMax` bounds what a peer can make us hold. */
  bytes(lengthMax: number): Uint8Array {
    const length = this.varint();
    if (length > lengthMax) throw new MalformedError(`${length} bytes where at most ${lengthMax} are allowed`);
    return this.raw(length);
  }

  text(lengthMax: number): string {
    const bytes = this.bytes(lengthMax);
    return utf8Read(bytes, 0, bytes.length);
  }

  /** `digits` hex digits. */
  hex(digits: number): string {
    let text = "";
    for (const byte of this.raw(digits / 2)) text += (byte >> 4).toString(16) + (byte & 15).toString(16);
    return text;
  }

  /** A count of items that take at least one byte each, so that a forged count cannot make us allocate. */
  count(countMax: number): number {
    const count = this.varint();
    if (count > countMax || count > this.remaining) throw new MalformedError(`a count of ${count}`);
    return count;
  }

  #advance(count: number): number {
    const start = this.#at;
    if (count > this.#bytes.length - start) throw new MalformedError("truncated");
    this.#at = start + count;
    return start;
  }
}

function nibble(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  assert(code >= 97 && code <= 102, "hex digits are lower case");
  return code - 87;
}
