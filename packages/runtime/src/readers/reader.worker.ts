/**
 * A reader: one read-only connection in a process of its own, running one query at a time. Rows leave in batches, as the
 * NDJSON lines they will be on the wire, and only when asked for, so that a slow client holds no memory. A process and
 * not a thread, because nothing can interrupt SQLite inside a thread: a query past its deadline is killed with it.
 */
import { AppError, must, type SqlValue, valueToJson } from "@patina/base";
import { assertReadStatement, sqlError } from "@patina/store";
import Database from "better-sqlite3";
import type { ReaderReply, ReaderRequest, ReaderSettings } from "./protocol.js";

/** Characters after which a batch is sent, however few its rows: one string holds no more than some hundred million. */
const BATCH_CHARS = 1 << 20;
/** Memory SQLite may use for one query; beyond it the query fails, and nothing else. */
const HEAP_BYTES_MAX = 256 << 20;

let settings: ReaderSettings | undefined;
let db: Database.Database | undefined;
/** Makes the connection look at the schema again. */
let refresh: Database.Statement | undefined;

interface Running {
  readonly rows: Iterator<unknown>;
  sent: number;
}

let running: Running | undefined;

function start(sql: string, params: readonly SqlValue[] | Readonly<Record<string, SqlValue>>): ReaderReply {
  assertReadStatement(sql);
  const reading = must(db, "an open database");
  // One snapshot from the compiling on, and of the schema as it is now: compiled against an older one, a statement would
  // say columns that its rows do not have.
  reading.exec("BEGIN");
  must(refresh, "an open database").get();
  const statement = reading.prepare(sql);
  if (!statement.readonly || !statement.reader) {
    throw new AppError("sql-not-allowed", "the statement is not a read-only query", { hint: "Send one SELECT." });
  }
  const columns = statement.columns().map(({ name }) => name);
  statement.raw().safeIntegers(true);
  const rows = statement.iterate(...(Array.isArray(params) ? (params as unknown[]) : [params]));
  running = { rows, sent: 0 };
  return { kind: "started", columns };
}

function next(query: Running): ReaderReply {
  const { batchRows, rowsMax } = must(settings, "settings");
  let lines = "";
  for (let count = 0; count < batchRows && lines.length < BATCH_CHARS; count++) {
    const { done, value } = query.rows.next();
    if (done === true) {
      cancel();
      return { kind: "rows", lines, isLast: true };
    }
    query.sent++;
    if (query.sent > rowsMax) {
      throw new AppError("too-many", `the query has more than ${rowsMax} rows`, {
        hint: "Add a LIMIT or a narrower WHERE.",
      });
    }
    lines += `{"row":[${query.sent},${JSON.stringify((value as SqlValue[]).map(valueToJson))}]}\n`;
  }
  return { kind: "rows", lines, isLast: false };
}

function cancel(): void {
  running?.rows.return?.();
  running = undefined;
  if (db?.inTransaction === true) db.exec("ROLLBACK");
}

function open(given: ReaderSettings): void {
  settings = given;
  db = new Database(given.path, { readonly: true, fileMustExist: true });
  db.pragma(`hard_heap_limit = ${HEAP_BYTES_MAX}`);
  refresh = db.prepare("SELECT count(*) FROM sqlite_schema").pluck();
}

function reply(message: ReaderReply): void {
  process.send?.(message);
}

process.on("disconnect", () => process.exit(0)); // The agent is gone.
process.on("message", (request: ReaderRequest) => {
  try {
    if (request.kind === "open") open(request.settings);
    else if (request.kind === "cancel") cancel();
    else if (request.kind === "start") reply(start(request.sql, request.params));
    else reply(next(must(running, "a running query")));
  } catch (thrown) {
    cancel();
    const { code, message, hint } = thrown instanceof AppError ? thrown : sqlError(thrown);
    reply({ kind: "failed", code, message, hint });
  }
});
