/**
 * Bytes as numbered lines. A line is looked at as bytes, so nothing is decoded twice, and it has a limit, so that a
 * stream without line ends costs no memory.
 */
import { AppError } from "@patina/base";

export interface Line {
  /** The first is 1. */
  readonly number: number;
  /** Without its line end. */
  readonly bytes: Uint8Array;
}

const LINE_FEED = 0x0a;

/**
 * The lines of a stream, as many at a time as came with one chunk. What follows the last line end is a line, too. Throws
 * `row-too-large`, with the line's number, once the lines before it are given out.
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<readonly Line[], void, void> {
  let rest: Uint8Array = new Uint8Array(0);
  let number = 0;
  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      const bytes = rest.length === 0 ? chunk.subarray(start, end) : Buffer.concat([rest, chunk.subarray(start, end)]);
      rest = new Uint8Array(0);
      start = end + 1;
      lines.push({ number: ++number, bytes });
    }
    // Copied, since the chunk may be large and the rest of it small.
    rest = Buffer.concat([rest, chunk.subarray(start)]);
    const long = lines.findIndex(({ bytes }) => bytes.length > lineBytesMax);
    if (lines.length > 0) yield long === -1 ? lines : lines.slice(0, long);
    if (long !== -1) throw lineTooLong(lines[long]?.number ?? 0, lineBytesMax);
    if (rest.length > lineBytesMax) throw lineTooLong(number + 1, lineBytesMax);
  }
  if (rest.length > 0) yield [{ number: number + 1, bytes: rest }];
}

function lineTooLong(line: number, lineBytesMax: number): AppError {
  return new AppError("row-too-large", `it has more than ${lineBytesMax} bytes`, {
    hint: "Keep large values in object storage and a link here. Is every object on a line of its own?",
    details: { line },
  });
}
