/**
 * Objects in any number, from a stream of lines into the store, a slice at a time.
 *
 *   bytes ─► lines ─► objects ─► slice ─► one transaction ─► the next slice is read only now
 *
 * A slice is small enough that neither this node nor any that applies it is held up. Slices of all loads on an agent take
 * turns, so that many loads are no heavier than one. When a line is refused, those before it are in and those after it
 * are not: the answer says which line that was.
 */
import { AppError, asAppError, type ErrorCode, type RowWrite, type Write, type WriteOutcome } from "@patina/base";
import type { LimitFunction } from "p-limit";
import { linesOf } from "./ndjson-lines.js";
import { readObjectLine } from "./object-line.js";

export interface BulkLimits {
  /** One transaction holds no more rows, and ends with the row that passes so many bytes of text. */
  readonly sliceRowsMax: number;
  readonly sliceBytesMax: number;
  readonly lineBytesMax: number;
  /** Loads at a time on one agent; more are refused with `too-many`. */
  readonly loadsMax: number;
  /** A load whose next bytes do not come by then is given up. */
  readonly idleMs: number;
  /** A slice that finds the store busy, or the queue full, is tried again so often, so much later. */
  readonly retriesMax: number;
  readonly retryAfterMs: number;
}

export const defaultBulkLimits: BulkLimits = {
  sliceRowsMax: 100,
  sliceBytesMax: 64 << 10,
  lineBytesMax: 1 << 20,
  loadsMax: 8,
  idleMs: 30_000,
  retriesMax: 40,
  retryAfterMs: 50,
};

export interface BulkParts {
  readonly table: string;
  /** What every row gets beside its values: `deleted`, a condition. */
  readonly row: Pick<RowWrite, "deleted" | "condition">;
  readonly write: (write: Write) => Promise<WriteOutcome>;
  /** Shared by all loads of an agent. */
  readonly turns: LimitFunction;
  readonly limits: BulkLimits;
}

/** How far a load came. It counts committed rows only. */
export interface BulkProgress {
  /** Everything up to this line is in; so a load that is sent again may begin after it. */
  committedLines: number;
  rowsRead: number;
  rowsChanged: number;
  /** Transactions that changed anything, and the version of the last. */
  versions: number;
  lastVersion: number | null;
}

/** What is wrong with one line is its sender's to correct; any other failure is not about a line. */
const ABOUT_A_LINE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "bad-request",
  "sql-error",
  "row-too-large",
  "transaction-too-large",
  "version-mismatch",
]);
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["too-many", "store-busy"]);

interface SlicedRow {
  readonly line: number;
  readonly write: RowWrite;
}

export class BulkLoad {
  readonly progress: BulkProgress = { committedLines: 0, rowsRead: 0, rowsChanged: 0, versions: 0, lastVersion: null };
  readonly #parts: BulkParts;
  #slice: SlicedRow[] = [];
  #sliceBytes = 0;

  constructor(parts: BulkParts) {
    this.#parts = parts;
  }

  /**
   * Loads all there is. Throws the first error, with `line`, and `column` or `field` where it is known, in its details;
   * `progress` holds then, too.
   */
  async run(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    let last = 0;
    try {
      for await (const lines of linesOf(chunks, this.#parts.limits.lineBytesMax)) {
        for (const { number, bytes } of lines) {
          await this.#take(number, bytes);
          last = number;
        }
      }
    } catch (thrown) {
      const error = asAppError(thrown);
      if (ABOUT_A_LINE.has(error.code)) await this.#commit(); // The lines before the bad one are good.
      throw error;
    }
    await this.#commit();
    this.progress.committedLines = last;
  }

  async #take(line: number, bytes: Uint8Array): Promise<void> {
    let values;
    try {
      values = readObjectLine(bytes);
    } catch (thrown) {
      throw atLine(line, asAppError(thrown));
    }
    if (values === undefined) return;
    const { table, row, limits } = this.#parts;
    this.#slice.push({ line, write: { table, values, ...row } });
    this.#sliceBytes += bytes.length;
    if (this.#slice.length >= limits.sliceRowsMax || this.#sliceBytes >= limits.sliceBytesMax) await this.#commit();
  }

  /** Commits the slice. Of one with a bad line, what is before that line; then throws what is wrong with it. */
  async #commit(): Promise<void> {
    const slice = this.#slice;
    this.#slice = [];
    this.#sliceBytes = 0;
    if (slice.length === 0) return;
    let error = await this.#write(slice);
    if (error === undefined) return;
    // Somewhere in [from, to) is the first bad row. Halving finds it in a few writes, each as short as any other.
    let from = 0;
    for (let to = slice.length; to - from > 1;) {
      if (!ABOUT_A_LINE.has(error.code)) throw error;
      const middle = (from + to) >> 1;
      const wrong = await this.#write(slice.slice(from, middle));
      if (wrong === undefined) from = middle;
      else [to, error] = [middle, wrong];
    }
    // The last error may still be of a longer part: what is wrong with this row is what it says alone.
    const bad = slice[from] as SlicedRow;
    error = await this.#write([bad]);
    if (error === undefined) return this.#again(slice.slice(from + 1));
    throw ABOUT_A_LINE.has(error.code) ? atLine(bad.line, error, bad.write) : error;
  }

  /** Rows that were refused together and not alone: somebody changed something in between. */
  async #again(rows: SlicedRow[]): Promise<void> {
    this.#slice = rows;
    return this.#commit();
  }

  /** One transaction. Undefined when it is in; else why not, and nothing of it is. */
  async #write(slice: readonly SlicedRow[]): Promise<AppError | undefined> {
    const { write, turns, limits } = this.#parts;
    const rows = slice.map((it) => it.write);
    for (let retries = 0; ; retries++) {
      const outcome = await turns(async () => write({ kind: "rows", rows }).catch(refused));
      if (outcome.ok) {
        const version = outcome.change?.version;
        const { progress } = this;
        progress.committedLines = slice.at(-1)?.line ?? progress.committedLines;
        progress.rowsRead += rows.length;
        progress.rowsChanged += outcome.rows.length;
        if (version !== undefined) progress.versions++;
        progress.lastVersion = version ?? progress.lastVersion;
        return undefined;
      }
      if (!PASSING.has(outcome.error.code) || retries >= limits.retriesMax) return outcome.error;
      await new Promise((resolve) => setTimeout(resolve, limits.retryAfterMs));
    }
  }
}

function refused(thrown: unknown): Extract<WriteOutcome, { ok: false }> {
  return { ok: false, error: asAppError(thrown) };
}

/** The error with the line it is about, and the field of the object when only one can be meant. */
function atLine(line: number, error: AppError, write?: RowWrite): AppError {
  const field = error.details["field"] ?? (write === undefined ? undefined : fieldNamed(error.message, write));
  return new AppError(error.code, error.message, {
    cause: error,
    hint: error.hint ?? "Correct the line.",
    details: { ...error.details, line, ...(field === undefined ? {} : { field }) },
  });
}

/** A constraint's message quotes its expression: the one column of the object that is named in it, outside of texts. */
function fieldNamed(message: string, { values }: RowWrite): string | undefined {
  const words = new Set(message.replaceAll(/'[^']*'/g, " ").match(/\w+/g));
  const named = Object.keys(values).filter((column) => words.has(column));
  return named.length === 1 ? named[0] : undefined;
}
