/**
 * Live queries for the rest of the agent: told which rows changed, it keeps every client's stream of lines going. The
 * queries themselves run in a thread of their own; here are only the clients, what waits for them, and the keys not
 * looked at yet, all of it bounded.
 *
 *   onChanged ──► ChangedKeys ──► thread: what did that change? ──► lines ──► each client of the query
 */
import { AppError, type ChangedRow } from "@patina/base";
import type { LiveParams } from "@patina/subscriptions";
import { ChangedKeys } from "./changed-keys.js";
import { LiveClient, type RowsChunk, type RowsToFetch } from "./client.js";
import { defaultLiveQueriesConfig, type LiveQueriesConfig } from "./config.js";
import type { LiveChanges, LiveReply, LiveRequest, LiveStart } from "./protocol.js";
import { LiveThread } from "./thread.js";

/** One client's subscription. */
export interface LiveStream {
  readonly id: string;
  readonly hash: string;
  /** NDJSON, one or more lines at a time, until the client leaves or the query ends; an error is the last line. */
  readonly lines: AsyncGenerator<string, void, void>;
}

export interface LiveStreamOptions {
  /** Continue after this change instead of starting with the rows; 0 starts over. */
  readonly from: number | undefined;
  readonly skipRows: boolean;
}

interface OpenQuery {
  readonly id: string;
  readonly table: string;
  readonly clients: Set<LiveClient>;
  idle: NodeJS.Timeout | undefined;
}

type Attached = Extract<LiveReply, { kind: "attached" }>;

export class LiveQueriesHost {
  readonly #config: LiveQueriesConfig;
  readonly #thread: LiveThread;
  readonly #queries = new Map<string, OpenQuery>();
  /** Table → how many of the queries read it. */
  readonly #readers = new Map<string, number>();
  readonly #changed: ChangedKeys;
  /** Queries to be run again, since too many keys of their table changed. */
  readonly #rescans = new Set<string>();
  #cursors = 0;
  /** Threads lost so far: what was kept in one is gone with it. */
  #threads = 0;
  #clients = 0;
  /** Requests that may add a client to a query, or a query. */
  #attaching = 0;
  #isDispatchQueued = false;
  #isClosed = false;

  /** `path` is the database file, which must exist. No thread runs until the first query is opened. */
  constructor(path: string, config: LiveQueriesConfig = defaultLiveQueriesConfig) {
    this.#config = config;
    this.#changed = new ChangedKeys(config.keysPendingMax);
    const { queriesMax, rowsMax, rowsTotalMax, changesKeptMax, rowsPerChunk } = config;
    const limits = { queriesMax, rowsMax, rowsTotalMax, changesKeptMax };
    this.#thread = new LiveThread({ path, limits, rowsPerChunk }, config.deadlineMs, (error) => this.#endAll(error));
  }

  /** Rows that were committed. Costs next to nothing when no query reads their tables. */
  onChanged(rows: readonly ChangedRow[]): void {
    if (this.#queries.size === 0 && this.#attaching === 0) return;
    for (const { table, key } of rows) {
      // A query being opened may have read its rows already, and its table is not known yet.
      if (this.#attaching > 0 || this.#readers.has(table)) this.#changed.add(table, key);
    }
    if (!this.#changed.isEmpty) this.#queueDispatch();
  }

  /**
   * Opens a live query, or joins the one there is with the same text and parameters. Throws `subscription-unsupported`,
   * `sql-error`, `sql-deadline`, `too-many`, or, with `from`, `subscription-unknown`.
   */
  async open(sql: string, params: LiveParams, options: LiveStreamOptions): Promise<LiveStream> {
    return this.#attach(options, (start) => ({ kind: "open", sql, params, start }));
  }

  /** Joins a live query by its id. Throws `subscription-unknown` when it, or its changes since `from`, are gone. */
  async attach(id: string, options: LiveStreamOptions): Promise<LiveStream> {
    return this.#attach(options, (start) => ({ kind: "attach", id, start }));
  }

  /** Ends every stream, with an error line, and the thread. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread.close(
      new AppError("not-ready", "the agent is stopping", { hint: "Subscribe at another agent." }),
    );
  }

  async #attach({ from, skipRows }: LiveStreamOptions, ask: (start: LiveStart) => LiveRequest): Promise<LiveStream> {
    this.#assertRoom();
    const start = { from: from === 0 ? undefined : from, skipRows, cursor: ++this.#cursors };
    this.#attaching++;
    return new Promise((resolve, reject) => {
      this.#thread.add({
        request: () => ask(start),
        onReply: (reply) => {
          this.#attaching--;
          if (reply.kind === "attached") resolve(this.#join(reply, start.cursor));
        },
        onFailure: (error) => {
          this.#attaching--;
          reject(error ?? new AppError("internal", "a live query was not opened"));
        },
      });
    });
  }

  #assertRoom(): void {
    if (this.#isClosed)
      throw new AppError("not-ready", "the agent is stopping", { hint: "Subscribe at another agent." });
    const { clientsMax, requestsQueuedMax } = this.#config;
    if (this.#clients + this.#attaching >= clientsMax) {
      throw new AppError("too-many", `${clientsMax} clients follow live queries already`, {
        hint: "Use another agent.",
      });
    }
    if (this.#thread.queued >= requestsQueuedMax) {
      throw new AppError("too-many", `${requestsQueuedMax} requests wait for the live queries`, {
        hint: "Retry more slowly.",
      });
    }
  }

  #join({ id, hash, table, lines, hasRows }: Attached, cursor: number): LiveStream {
    const query = this.#queries.get(id) ?? this.#remember(id, table);
    clearTimeout(query.idle);
    const thread = this.#threads;
    const rows: RowsToFetch = {
      next: async () => this.#fetchRows(client, cursor),
      forget: () => (thread === this.#threads ? this.#forgetRows(cursor) : undefined),
    };
    const onGone = (): void => this.#leave(query, client);
    const client: LiveClient = new LiveClient(this.#config, lines, hasRows ? rows : undefined, onGone);
    query.clients.add(client);
    this.#clients++;
    return { id, hash, lines: client };
  }

  #leave(query: OpenQuery, client: LiveClient): void {
    query.clients.delete(client);
    this.#clients--;
    if (query.clients.size > 0 || this.#queries.get(query.id) !== query) return;
    query.idle = setTimeout(() => this.#drop(query), this.#config.idleMs);
  }

  /** Closes a query nobody came back to, once its turn has come. */
  #drop(query: OpenQuery): void {
    this.#thread.add({
      request: () => {
        if (query.clients.size > 0 || this.#queries.get(query.id) !== query) return undefined;
        this.#forget(query);
        return { kind: "close", id: query.id };
      },
      onReply: () => undefined,
      onFailure: () => undefined,
    });
  }

  async #fetchRows(client: LiveClient, cursor: number): Promise<RowsChunk | undefined> {
    return new Promise((resolve) => {
      this.#thread.add({
        request: () => (client.hasRows ? { kind: "rows", cursor, isWanted: true } : undefined),
        onReply: (reply) => resolve(reply.kind === "rows" ? reply : undefined),
        onFailure: (error) => {
          if (error !== undefined) client.fail(error);
          resolve(undefined);
        },
      });
    });
  }

  #forgetRows(cursor: number): void {
    this.#thread.add({
      request: () => ({ kind: "rows", cursor, isWanted: false }),
      onReply: () => undefined,
      onFailure: () => undefined,
    });
  }

  /** Changes of one tick go together; while the thread is busy, those of many. */
  #queueDispatch(): void {
    if (this.#isDispatchQueued || this.#isClosed) return;
    this.#isDispatchQueued = true;
    setImmediate(() => {
      if (this.#isClosed) return;
      this.#thread.add({
        request: () => this.#nextDispatch(),
        onReply: (reply) => this.#onChanges(reply.kind === "changed" ? reply.queries : []),
        // Its keys are lost. Queries that may have missed a change must not go on as if they had not.
        onFailure: (error) => {
          this.#isDispatchQueued = false; // Also of one that never had its turn: the next change must queue another.
          if (error !== undefined) this.#thread.restart(error);
        },
      });
    });
  }

  /** One slice of what is to be looked at. More than that waits its turn behind the other requests. */
  #nextDispatch(): LiveRequest | undefined {
    this.#isDispatchQueued = false;
    const overflown = new Set(this.#changed.takeOverflown());
    for (const { id, table } of this.#queries.values()) if (overflown.has(table)) this.#rescans.add(id);
    const [id] = this.#rescans;
    if (id !== undefined) this.#rescans.delete(id);
    const changes = id === undefined ? this.#changed.take(this.#config.keysPerRequestMax) : [];
    if (!this.#changed.isEmpty || this.#rescans.size > 0) this.#queueDispatch();
    if (id !== undefined) return { kind: "rescan", id };
    return changes.length === 0 ? undefined : { kind: "changes", changes };
  }

  #onChanges(queries: readonly LiveChanges[]): void {
    for (const { id, lines, count, ended } of queries) {
      const query = this.#queries.get(id);
      if (query === undefined) continue;
      if (ended !== undefined) this.#forget(query);
      const bytes = Buffer.byteLength(lines);
      for (const client of [...query.clients]) {
        if (count > 0) client.push(lines, count, bytes);
        if (ended !== undefined) client.fail(ended);
      }
    }
  }

  #remember(id: string, table: string): OpenQuery {
    const query: OpenQuery = { id, table, clients: new Set(), idle: undefined };
    this.#queries.set(id, query);
    this.#readers.set(table, (this.#readers.get(table) ?? 0) + 1);
    return query;
  }

  #forget(query: OpenQuery): void {
    clearTimeout(query.idle);
    this.#queries.delete(query.id);
    const others = (this.#readers.get(query.table) ?? 0) - 1;
    if (others > 0) this.#readers.set(query.table, others);
    else this.#readers.delete(query.table);
  }

  #endAll(error: AppError): void {
    this.#threads++;
    this.#changed.clear();
    this.#rescans.clear();
    const queries = [...this.#queries.values()];
    for (const query of queries) this.#forget(query); // First, so that no client leaving waits for it to be idle.
    for (const query of queries) for (const client of [...query.clients]) client.fail(error);
  }
}
