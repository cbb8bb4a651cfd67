/**
 * Users' queries, away from the thread that gossips. A few processes, each with a read-only connection, started when
 * first needed; a query that runs past its deadline costs its process, which is killed and replaced, never the agent.
 */
import { type ChildProcess, fork } from "node:child_process";
import { AppError, type SqlValue } from "@patina/base";
import type { ReaderReply, ReaderRequest, ReaderSettings } from "./protocol.js";

export interface ReaderPoolConfig {
  readonly workers: number;
  /** Queries waiting for a worker beyond which new ones are refused. */
  readonly queriesQueuedMax: number;
  readonly rowsMax: number;
  readonly batchRows: number;
  readonly deadlineMs: number;
}

export const defaultReaderPoolConfig: ReaderPoolConfig = {
  workers: 2,
  queriesQueuedMax: 256,
  rowsMax: 1_000_000,
  batchRows: 500,
  deadlineMs: 10_000,
};

export interface QueryResult {
  readonly columns: readonly string[];
  /** NDJSON row lines, in batches. Ends early, and frees its worker, when the consumer stops. */
  readonly batches: AsyncGenerator<string, void, void>;
}

export class ReaderPool {
  readonly #path: string;
  readonly #config: ReaderPoolConfig;
  readonly #idle: Reader[] = [];
  readonly #all = new Set<Reader>();
  readonly #waiting: ((reader: Reader) => void)[] = [];
  #isClosed = false;

  constructor(path: string, config: ReaderPoolConfig = defaultReaderPoolConfig) {
    this.#path = path;
    this.#config = config;
  }

  /**
   * Runs one SELECT. Throws `sql-not-allowed`, `sql-error`, `sql-deadline`, or `too-many` when too many wait already;
   * the batches may throw the same later.
   */
  async query(
    sql: string,
    params: readonly SqlValue[] | Readonly<Record<string, SqlValue>>,
    deadlineMs = this.#config.deadlineMs,
  ): Promise<QueryResult> {
    const reader = await this.#acquire();
    const deadline = setTimeout(() => this.#replace(reader, deadlineMs), deadlineMs);
    const finish = (): void => {
      clearTimeout(deadline);
      this.#release(reader);
    };
    try {
      const reply = await reader.ask({ kind: "start", sql, params });
      const columns = reply.kind === "started" ? reply.columns : [];
      return { columns, batches: batchesOf(reader, finish) };
    } catch (thrown) {
      finish();
      throw thrown;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#all].map((reader) => reader.end(new AppError("not-ready", "the agent is stopping"))));
  }

  async #acquire(): Promise<Reader> {
    if (this.#isClosed) throw new AppError("not-ready", "the agent is stopping");
    const reader = this.#idle.pop() ?? (this.#all.size < this.#config.workers ? this.#spawn() : undefined);
    if (reader !== undefined) return reader;
    if (this.#waiting.length >= this.#config.queriesQueuedMax) {
      throw new AppError("too-many", `${this.#waiting.length} queries are waiting already`, {
        hint: "Retry more slowly.",
      });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(reader: Reader): void {
    if (!this.#all.has(reader)) return; // It was ended at its deadline, and replaced.
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(reader);
    else next(reader);
  }

  #replace(reader: Reader, deadlineMs: number): void {
    this.#all.delete(reader);
    const error = new AppError("sql-deadline", `the query ran longer than ${deadlineMs} ms`, {
      hint: "Narrow it, add an index, or ask for more time with ?timeout=SECONDS.",
    });
    void reader.end(error);
    this.#serveNext();
  }

  /** A process that ended by itself serves nobody any more; another is started for whoever waits, or for the next query. */
  #onGone(reader: Reader): void {
    if (!this.#all.delete(reader)) return; // It was replaced.
    const at = this.#idle.indexOf(reader);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#serveNext();
  }

  #serveNext(): void {
    const next = this.#isClosed ? undefined : this.#waiting.shift();
    next?.(this.#spawn());
  }

  #spawn(): Reader {
    const { rowsMax, batchRows } = this.#config;
    const reader: Reader = new Reader({ path: this.#path, rowsMax, batchRows }, () => this.#onGone(reader));
    this.#all.add(reader);
    return reader;
  }
}

/** The rows that follow. Whoever does not even begin to read them gives the reader back all the same. */
function batchesOf(reader: Reader, finish: () => void): AsyncGenerator<string, void, void> {
  const batches = read(reader, finish);
  let hasBegun = false;
  const next = batches.next.bind(batches);
  const end = batches.return.bind(batches);
  batches.next = async () => {
    hasBegun = true;
    return next();
  };
  batches.return = async (value) => {
    if (!hasBegun) giveBack(reader, finish); // A generator that was never asked for anything runs none of its code.
    hasBegun = true;
    return end(value);
  };
  return batches;
}

async function* read(reader: Reader, finish: () => void): AsyncGenerator<string, void, void> {
  let isLast = false;
  try {
    while (!isLast) {
      const reply = await reader.ask({ kind: "next" });
      if (reply.kind !== "rows") return;
      isLast = reply.isLast;
      if (reply.lines !== "") yield reply.lines;
    }
  } finally {
    if (isLast) finish();
    else giveBack(reader, finish);
  }
}

function giveBack(reader: Reader, finish: () => void): void {
  reader.cancel();
  finish();
}

/** One process, asked one thing at a time. */
class Reader {
  readonly #process: ChildProcess;
  #pending: { resolve: (reply: ReaderReply) => void; reject: (error: Error) => void } | undefined;
  #ended: AppError | undefined;
  readonly #gone: Promise<void>;
  #isGone = false;

  constructor(settings: ReaderSettings, onGone: () => void) {
    this.#process = fork(new URL("./reader.worker.js", import.meta.url), {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#process.on("message", (reply) => this.#onReply(reply as ReaderReply));
    this.#gone = new Promise((resolve) => {
      const gone = (why: string): void => {
        this.#isGone = true;
        resolve();
        void this.end(new AppError("internal", `a reader ended by itself (${why})`, { hint: "Ask again." }));
        onGone();
      };
      this.#process.on("exit", (status, signal) => gone(signal ?? `status ${status}`));
      this.#process.on("error", (thrown) => gone(thrown.message)); // It never ran: no `exit` follows.
    });
    this.#send({ kind: "open", settings });
  }

  async ask(request: ReaderRequest): Promise<ReaderReply> {
    if (this.#ended !== undefined) throw this.#ended;
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#send(request);
    });
  }

  cancel(): void {
    if (this.#ended === undefined) this.#send({ kind: "cancel" });
  }

  /** Kills it, whatever it is doing. The first reason given is the one its caller hears. */
  async end(error: AppError): Promise<void> {
    this.#ended ??= error;
    this.#pending?.reject(this.#ended);
    this.#pending = undefined;
    if (this.#isGone) return;
    this.#process.kill("SIGKILL");
    await this.#gone;
  }

  /** A message that cannot be delivered means that the process is ending; `exit` follows. */
  #send(request: ReaderRequest): void {
    this.#process.send(request, () => undefined);
  }

  #onReply(reply: ReaderReply): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if (reply.kind !== "failed") return pending?.resolve(reply);
    const hint = reply.hint === undefined ? {} : { hint: reply.hint };
    pending?.reject(new AppError(reply.code, reply.message, hint));
  }
}
