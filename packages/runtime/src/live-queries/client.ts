/**
 * One client of a live query: its rows, fetched as fast as it reads them, then the changes that wait for it.
 *
 *   head ──► rows (pulled, until the last) ──► changes (pushed, bounded) ──► end
 *
 * It is written out instead of being a generator function because a client mostly leaves while it waits, and a
 * generator waiting for a promise does not notice `return()` until that promise settles.
 */
import type { LiveFailure } from "./protocol.js";

export interface ClientBounds {
  readonly clientLinesMax: number;
  readonly clientBytesMax: number;
}

export interface RowsChunk {
  readonly lines: string;
  readonly isLast: boolean;
}

/** The rows a client starts with. */
export interface RowsToFetch {
  /** The next of them; undefined when they are lost because their query is. */
  next(): Promise<RowsChunk | undefined>;
  /** They will not be asked for any more. */
  forget(): void;
}

export class LiveClient implements AsyncGenerator<string, void, void> {
  readonly #bounds: ClientBounds;
  readonly #onGone: () => void;
  #rows: RowsToFetch | undefined;
  #waiting: string[];
  #waitingLines = 0;
  #waitingBytes = 0;
  #isOver = false;
  #wake: (() => void) | undefined;
  #turn: Promise<string | undefined> = Promise.resolve(undefined);
  #head: string;

  /** `onGone` is called once, when nothing more should be pushed: the client left, lagged, or its query ended. */
  constructor(bounds: ClientBounds, head: string, rows: RowsToFetch | undefined, onGone: () => void) {
    this.#bounds = bounds;
    this.#onGone = onGone;
    this.#rows = rows;
    this.#head = head;
    this.#waiting = [];
  }

  /** Are its rows still to be fetched? */
  get hasRows(): boolean {
    return this.#rows !== undefined;
  }

  /** Changes for it. A client that has too many waiting is told so, loses them, and is let go. */
  push(lines: string, count: number, bytes: number): void {
    if (this.#isOver) return;
    const { clientLinesMax, clientBytesMax } = this.#bounds;
    const isFull = this.#waitingLines + count > clientLinesMax || this.#waitingBytes + bytes > clientBytesMax;
    if (isFull && this.#waiting.length > 0) {
      const message = `lagged: ${this.#waitingLines} changes wait for this client already; subscribe again and read faster`;
      this.#forgetAll();
      return this.fail({ code: "too-many", message });
    }
    this.#waiting.push(lines);
    this.#waitingLines += count;
    this.#waitingBytes += bytes;
    this.#wakeUp();
  }

  /** The last line it gets, after what waits for it. Changes are of no use to a client that never gets all the rows. */
  fail({ code, message, hint }: Pick<LiveFailure, "code" | "message"> & { readonly hint?: string | undefined }): void {
    if (this.#isOver) return;
    if (this.hasRows) this.#forgetAll();
    this.#waiting.push(`${JSON.stringify({ error: message, code, hint })}\n`);
    this.#leave();
  }

  async next(): Promise<IteratorResult<string, void>> {
    this.#turn = this.#turn.then(() => this.#take());
    const lines = await this.#turn;
    return lines === undefined ? { done: true, value: undefined } : { done: false, value: lines };
  }

  /** The client goes. A `next` that waits ends too. */
  return(): Promise<IteratorResult<string, void>> {
    this.#forgetAll();
    this.#leave();
    return Promise.resolve({ done: true, value: undefined });
  }

  async throw(thrown: unknown): Promise<IteratorResult<string, void>> {
    await this.return();
    throw thrown;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  async #take(): Promise<string | undefined> {
    for (;;) {
      if (this.#head !== "") {
        const head = this.#head;
        this.#head = "";
        return head;
      }
      const rows = await this.#takeRows();
      if (rows !== undefined) return rows;
      if (this.#waiting.length > 0) return this.#takeWaiting();
      if (this.#isOver) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  async #takeRows(): Promise<string | undefined> {
    const chunk = await this.#rows?.next();
    if (!this.hasRows) return undefined; // It has them all; or it left, or was let go, meanwhile.
    if (chunk === undefined || chunk.isLast) this.#rows = undefined;
    return chunk?.lines;
  }

  #takeWaiting(): string {
    const lines = this.#waiting.join("");
    this.#waiting = [];
    this.#waitingLines = 0;
    this.#waitingBytes = 0;
    return lines;
  }

  #forgetAll(): void {
    this.#head = "";
    this.#waiting = [];
    this.#rows?.forget();
    this.#rows = undefined;
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onGone();
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
