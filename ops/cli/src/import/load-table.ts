/**
 * Objects from a source into a table, a batch a request, one request at a time: what is read waits for what is written,
 * so a file of any size takes the memory of one batch. A batch is whole objects, and putting one again changes nothing: so
 * when an agent goes away in the middle of it, it is sent again to another.
 */
import type { LoadResult, PatinaClient } from "@patina/api/client";
import { AppError, asAppError, type ErrorCode } from "@patina/base";
import type { SourceLine } from "./object-source.js";

/** What one request carries: well under a second of work, which is how long a stop may take. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 1 << 20;
/** How often a batch is offered again, to whichever agent answers, and how much later. */
const RETRIES_MAX = 10;
const RETRY_AFTER_MS = 500;

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "agent-unreachable",
  "not-ready",
  "store-busy",
  "store-failed",
  "too-many",
]);

export interface LoadState {
  /** Everything up to this line of the source is in. */
  readonly line: number;
  readonly read: number;
  readonly changed: number;
}

export interface LoadOptions {
  readonly table: string;
  readonly lines: AsyncIterable<readonly SourceLine[]>;
  /** Lines up to this are passed over: they are in already. */
  readonly skip: number;
  /** Finds an agent that answers. */
  readonly connect: () => Promise<PatinaClient>;
  readonly isStopped: () => boolean;
  readonly onProgress: (state: LoadState) => void;
}

/** Ends at the end of the source, or when stopped. Throws the first error; `onProgress` has said what is in by then. */
export async function loadTable(options: LoadOptions): Promise<LoadState> {
  const loading = new Loading(options, await options.connect());
  try {
    for await (const lines of options.lines) {
      for (const line of lines) if (line.number > options.skip) await loading.take(line);
      if (options.isStopped()) return loading.state;
    }
  } catch (thrown) {
    if (options.isStopped()) return loading.state; // The source was closed under it.
    await loading.send(); // What was read before it went wrong is good.
    throw thrown;
  }
  await loading.send();
  return loading.state;
}

class Loading {
  readonly #options: LoadOptions;
  #client: PatinaClient;
  #batch: SourceLine[] = [];
  #bytes = 0;
  #state: LoadState;

  constructor(options: LoadOptions, client: PatinaClient) {
    this.#options = options;
    this.#client = client;
    this.#state = { line: options.skip, read: 0, changed: 0 };
  }

  get state(): LoadState {
    return this.#state;
  }

  async take(line: SourceLine): Promise<void> {
    if (this.#options.isStopped()) return;
    this.#batch.push(line);
    this.#bytes += line.bytes.length + 1;
    if (this.#batch.length >= BATCH_ROWS || this.#bytes >= BATCH_BYTES) await this.send();
  }

  async send(): Promise<void> {
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    if (batch.length === 0) return;
    const lineFeed = Buffer.from("\n");
    const text = Buffer.concat(batch.flatMap(({ bytes }) => [bytes, lineFeed]));
    try {
      this.#advance(batch, await this.#load(text));
    } catch (thrown) {
      const error = asAppError(thrown);
      const { committed_lines: lines = 0, rows_read: read = 0, rows_changed: changed = 0, line } = error.details;
      const done = { committed_lines: Number(lines), rows_read: Number(read), rows_changed: Number(changed) };
      this.#advance(batch, done);
      throw line === undefined ? error : inFile(error, batch[Number(line) - 1]?.number ?? 0);
    }
  }

  #advance(batch: readonly SourceLine[], done: Omit<LoadResult, "versions">): void {
    this.#state = {
      line: batch[done.committed_lines - 1]?.number ?? this.#state.line,
      read: this.#state.read + done.rows_read,
      changed: this.#state.changed + done.rows_changed,
    };
    this.#options.onProgress(this.#state);
  }

  async #load(text: Uint8Array): Promise<LoadResult> {
    for (let retries = 0; ; retries++) {
      try {
        return await this.#client.load(this.#options.table, text);
      } catch (thrown) {
        const isPassing = thrown instanceof AppError && PASSING.has(thrown.code);
        if (!isPassing || retries >= RETRIES_MAX || this.#options.isStopped()) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
        this.#client = await this.#options.connect().catch(() => this.#client);
      }
    }
  }
}

/** The error with the line as the file counts it, not the request. */
function inFile(error: AppError, line: number): AppError {
  return new AppError(error.code, error.message.replace(/^line \d+/, `line ${line}`), {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    details: { ...error.details, line },
  });
}
