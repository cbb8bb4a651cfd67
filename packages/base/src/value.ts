/**
 * A value as SQLite stores it. Integers are `bigint` and reals are `number` throughout, so that 1 and 1.0 stay apart
 * and 64-bit integers stay exact: equal tables must have equal bytes on every node.
 */
import { type ByteReader, type ByteWriter, MalformedError } from "./bytes.js";

export type SqlValue = null | bigint | number | string | Uint8Array;

const NULL = 0;
const INTEGER_SMALL = 1; // zigzag varint, within ±2^31: nearly every integer there is
const INTEGER = 2;
const REAL = 3;
const TEXT = 4;
const BLOB = 5;

const SMALL_MAX = 0x7fff_ffffn;

export function writeValue(writer: ByteWriter, value: SqlValue): void {
  if (value === null) writer.u8(NULL);
  else if (typeof value === "string") writer.u8(TEXT).text(value);
  else if (typeof value === "number") writer.u8(REAL).f64(value);
  else if (typeof value === "bigint") {
    if (value >= -SMALL_MAX && value <= SMALL_MAX) {
      const small = Number(value);
      writer.u8(INTEGER_SMALL).varint(small < 0 ? -small * 2 - 1 : small * 2);
    } else writer.u8(INTEGER).i64(value);
  } else writer.u8(BLOB).bytes(value);
}

/** `lengthMax` bounds a text or blob. */
export function readValue(reader: ByteReader, lengthMax: number): SqlValue {
  const kind = reader.u8();
  switch (kind) {
    case NULL:
      return null;
    case INTEGER_SMALL: {
      const zigzag = reader.varint();
      return BigInt(zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2);
    }
    case INTEGER:
      return reader.i64();
    case REAL:
      return reader.f64();
    case TEXT:
      return reader.text(lengthMax);
    case BLOB:
      return reader.bytes(lengthMax).slice();
    default:
      throw new MalformedError(`value kind ${kind}`);
  }
}

/** Beyond the greatest real: SQLite, like every reader of numbers, takes it for infinity. */
const INFINITY = "9e999";

/**
 * A value as JSON readers take it: integers beyond 2^53 go as text, since they would be rounded, and bytes as an array of
 * numbers. JSON has no infinity: it goes as text that a column of numbers takes for it.
 */
export function valueToJson(value: SqlValue): string | number | null | number[] {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (value === Infinity) return INFINITY;
  if (value === -Infinity) return `-${INFINITY}`;
  return value instanceof Uint8Array ? [...value] : value;
}
