/**
 * What the main thread was at, in memory that another thread can read when the main thread no longer answers: when it last
 * came round its loop, the last input it was given, and the last row it began to join.
 *
 *   beatNs i64 │ step: length u32, text ≤ 64 · length u32, bytes ≤ 4,096 │ row: length u32, table ≤ 256 · length u32, key ≤ 1,024
 *
 * It is written without locks and read only when the writer stands still, or has; a torn record is possible and harmless.
 */
import { machineNs } from "../clock.js";

const TEXT_BYTES_MAX = 64;
const INPUT_BYTES_MAX = 4096;
const TABLE_BYTES_MAX = 256;
const KEY_BYTES_MAX = 1024;

const STEP_AT = 8;
const INPUT_AT = STEP_AT + 4 + TEXT_BYTES_MAX;
const TABLE_AT = INPUT_AT + 4 + INPUT_BYTES_MAX;
const KEY_AT = TABLE_AT + 4 + TABLE_BYTES_MAX;
const SIZE = KEY_AT + 4 + KEY_BYTES_MAX;

const NOTHING: Uint8Array = new Uint8Array();

export interface LastAct {
  /** The kind of the last input, and the stream it came by. */
  readonly step: string;
  /** What that stream brought: the first few kilobytes. */
  readonly input: Uint8Array;
  readonly table: string;
  /** The primary key, encoded as in changes. */
  readonly key: Uint8Array;
}

export class BlackBox {
  readonly memory: SharedArrayBuffer;
  readonly #beat: BigInt64Array;
  readonly #bytes: Buffer;

  constructor(memory = new SharedArrayBuffer(Math.ceil(SIZE / 8) * 8)) {
    this.memory = memory;
    this.#beat = new BigInt64Array(memory, 0, 1);
    this.#bytes = Buffer.from(memory);
  }

  /** The main thread has come round. */
  beat(): void {
    Atomics.store(this.#beat, 0, machineNs());
  }

  /** For how long it has not. The clock is the machine's: both threads read the same. */
  get silentMs(): number {
    return Number(machineNs() - Atomics.load(this.#beat, 0)) / 1e6;
  }

  noteStep(text: string, input = NOTHING): void {
    this.#putText(STEP_AT, text, TEXT_BYTES_MAX);
    this.#put(INPUT_AT, input, INPUT_BYTES_MAX);
    this.#bytes.writeUInt32LE(0, TABLE_AT); // The rows of the step before are not of this one.
    this.#bytes.writeUInt32LE(0, KEY_AT);
  }

  noteRow(table: string, key: Uint8Array): void {
    this.#putText(TABLE_AT, table, TABLE_BYTES_MAX);
    this.#put(KEY_AT, key, KEY_BYTES_MAX);
  }

  read(): LastAct {
    return {
      step: this.#get(STEP_AT).toString("utf8"),
      input: this.#get(INPUT_AT),
      table: this.#get(TABLE_AT).toString("utf8"),
      key: this.#get(KEY_AT),
    };
  }

  #putText(at: number, text: string, max: number): void {
    this.#bytes.writeUInt32LE(this.#bytes.write(text, at + 4, max), at);
  }

  #put(at: number, bytes: Uint8Array, max: number): void {
    const part = bytes.length > max ? bytes.subarray(0, max) : bytes;
    this.#bytes.set(part, at + 4);
    this.#bytes.writeUInt32LE(part.length, at);
  }

  /** A copy. */
  #get(at: number): Buffer {
    return Buffer.from(this.#bytes.subarray(at + 4, at + 4 + this.#bytes.readUInt32LE(at)));
  }
}
