/**
 * A reader: one read-only connection in a thread of its own, running one query at a time. Rows leave in batches, as the
 * NDJSON lines they will be on the wire, and only when asked for, so that a slow client holds no memory.
 */
import { parentPort, workerData } from "node:worker_threads";
import { AppError, must, type SqlValue, valueToJson } from "@patina/base";
import { assertReadStatement, sqlError } from "@patina/store";
import Database from "better-sqlite3";
import type { ReaderReply, ReaderRequest } from "./reader-protocol.js";

const port = must(parentPort, "a parent thread");
const { path, rowsMax, batchRows } = workerData as { path: string; rowsMax: number; batchRows: number };
const db = new Database(path, { readonly: true, fileMustExist: true });

interface Running {
  readonly rows: Iterator<unknown>;
  sent: number;
}

let running: Running | undefined;

function start(sql: string, params: readonly SqlValue[] | Readonly<Record<string, SqlValue>>): ReaderReply {
  assertReadStatement(sql);
  const statement = db.prepare(sql);
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
  let lines = "";
  for (let count = 0; count < batchRows; count++) {
    const { done, value } = query.rows.next();
    if (done === true) {
      running = undefined;
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
}

port.on("message", (request: ReaderRequest) => {
  if (request.kind === "cancel") return cancel();
  try {
    port.postMessage(
      request.kind === "start" ? start(request.sql, request.params) : next(must(running, "a running query")),
    );
  } catch (thrown) {
    cancel();
    const { code, message, hint } = thrown instanceof AppError ? thrown : sqlError(thrown);
    port.postMessage({ kind: "failed", code, message, hint } satisfies ReaderReply);
  }
});
