/** A typed client of the API: what the CLI, the border, the router and the benches speak through. */
import { AppError, messageOf } from "@patina/base";
import { Agent, fetch, type Response } from "undici";
import { errorOf } from "./problem.js";

export interface ClientOptions {
  readonly timeoutMs?: number;
  /** Gives the `authorization` of a request; undefined where there is nothing to prove oneself with. */
  readonly sign?: Sign | undefined;
}

export type Sign = (request: {
  readonly method: string;
  readonly path: string;
  readonly body: Uint8Array;
}) => Promise<string | undefined>;

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  /** Sent as JSON, unless `lines` are. */
  readonly body?: unknown;
  /** Objects as NDJSON text. */
  readonly lines?: Uint8Array;
  readonly timeoutMs?: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
  /** Statuses that are an answer here, not an error, e.g. 503 of a readiness probe. */
  readonly accept?: readonly number[];
}

const TIMEOUT_MS = 10_000;
/**
 * A request's own limit is the only one: a drill says nothing for an hour, and a watch as long as nothing changes. The `fetch`
 * that Node has built in gives both up after five minutes, and cannot be told otherwise.
 */
const CONNECTIONS = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
/** A load of a few thousand objects on a slow disk. */
const LOAD_TIMEOUT_MS = 120_000;

export class PatinaClient {
  readonly url: string;
  readonly #timeoutMs: number;
  readonly #sign: Sign | undefined;

  constructor(url: string, { timeoutMs = TIMEOUT_MS, sign }: ClientOptions = {}) {
    this.#sign = sign;
    this.url = url.replace(/\/$/, "");
    this.#timeoutMs = timeoutMs;
  }

  async transact(statements: readonly unknown[]): Promise<TransactionResult> {
    return this.request<TransactionResult>("/v1/transactions", { method: "POST", body: statements });
  }

  /** All rows of a query, in memory: use it for what is known to be small. */
  async query(statement: unknown): Promise<{ columns: string[]; rows: unknown[][] }> {
    const result = { columns: [] as string[], rows: [] as unknown[][] };
    for await (const event of this.events("/v1/queries", { method: "POST", body: statement })) {
      if (event["columns"] !== undefined) result.columns = event["columns"] as string[];
      if (event["row"] !== undefined) result.rows.push((event["row"] as [number, unknown[]])[1]);
      if (event["error"] !== undefined) throw errorOf({ ...event, detail: event["error"] }, "the query failed");
    }
    return result;
  }

  /** Puts the objects of NDJSON text. An error has `committed_lines` in its details, and `line` when it is about one. */
  async load(table: string, lines: Uint8Array): Promise<LoadResult> {
    const path = `/v1/tables/${encodeURIComponent(table)}/rows`;
    return this.request<LoadResult>(path, { method: "PUT", lines, timeoutMs: LOAD_TIMEOUT_MS });
  }

  /** A JSON answer. Throws the server's error, or `agent-unreachable`. */
  async request<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.#fetch(path, options, options.timeoutMs ?? this.#timeoutMs);
    const text = await this.#readWhole(response);
    const isWanted = response.ok || options.accept?.includes(response.status) === true;
    const document = parsed(text);
    if (!isWanted) throw errorOf(document, `${this.url}${path} answered ${response.status}`);
    if (document === undefined && text !== "") throw this.#unreachable(`answers ${path} with what is not JSON`);
    return document as T;
  }

  /** NDJSON events as they come. `timeoutMs` 0 keeps the stream open for good. */
  async *events(path: string, options: RequestOptions = {}): AsyncGenerator<Record<string, unknown>, void, void> {
    const response = await this.#fetch(path, options, options.timeoutMs ?? this.#timeoutMs);
    if (!response.ok || response.body === null) {
      throw errorOf(parsed(await this.#readWhole(response)), `${this.url}${path} answered ${response.status}`);
    }
    let rest = "";
    for await (const text of this.#pieces(response.body.pipeThrough(new TextDecoderStream()), options.signal)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield this.#event(path, line);
    }
  }

  #event(path: string, line: string): Record<string, unknown> {
    const event = parsed(line);
    if (event === undefined) throw this.#unreachable(`answers ${path} with what is not JSON`);
    return event as Record<string, unknown>;
  }

  async #readWhole(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (cause) {
      throw this.#unreachable(`broke off in the middle of its answer: ${reasonOf(cause)}`, cause);
    }
  }

  /** Text as it comes. Whoever ended it by `signal` gets that reason; an end in the middle is `agent-unreachable`. */
  async *#pieces(body: AsyncIterable<string>, signal: AbortSignal | undefined): AsyncGenerator<string, void, void> {
    try {
      yield* body;
    } catch (cause) {
      if (signal?.aborted === true) throw cause;
      throw this.#unreachable(`broke off in the middle of its answer: ${reasonOf(cause)}`, cause);
    }
  }

  #unreachable(why: string, cause?: unknown): AppError {
    const hint = "Is it running? `patina members` shows who is.";
    return new AppError("agent-unreachable", `${this.url} ${why}`, { cause, hint });
  }

  async #fetch(path: string, options: RequestOptions, timeoutMs: number): Promise<Response> {
    const { method = "GET", lines, signal } = options;
    const bytes =
      lines ?? (options.body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(options.body)));
    const type = lines === undefined ? "application/json" : "application/x-ndjson";
    const authorization = await this.#sign?.({ method, path, body: bytes ?? new Uint8Array() });
    const signals = [
      ...(timeoutMs === 0 ? [] : [AbortSignal.timeout(timeoutMs)]),
      ...(signal === undefined ? [] : [signal]),
    ];
    try {
      return await fetch(this.url + path, {
        dispatcher: CONNECTIONS,
        method,
        headers: {
          ...(bytes === undefined ? {} : { "content-type": type }),
          ...(authorization === undefined ? {} : { authorization }),
        },
        ...(bytes === undefined ? {} : { body: bytes }),
        ...(signals.length === 0 ? {} : { signal: AbortSignal.any(signals) }),
      });
    } catch (cause) {
      throw this.#unreachable(`does not answer: ${reasonOf(cause)}`, cause);
    }
  }
}

/** Undefined for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The caller knows what it means here.
  }
}

/** What a failed request is about is in the error below it. */
function reasonOf(thrown: unknown): string {
  return thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause.message : messageOf(thrown);
}

export interface TransactionResult {
  readonly results: readonly { readonly rows_affected: number; readonly time: number }[];
  readonly version: number | null;
  readonly actor_id: string;
}

export interface LoadResult {
  readonly committed_lines: number;
  readonly rows_read: number;
  readonly rows_changed: number;
  readonly versions: number;
}
