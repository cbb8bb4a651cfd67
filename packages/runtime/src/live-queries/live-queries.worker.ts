/**
 * The live queries' thread: a read-only connection and every live query on it. It does one thing at a time, so its
 * replies are the order of events: what a client is given on attaching, and the changes replied after that, leave no
 * gap and no overlap. Rows leave in chunks and only when asked for, so that a slow client holds up nobody.
 */
import { parentPort, workerData } from "node:worker_threads";
import { type AppError, asAppError, must } from "@patina/base";
import { sqlError } from "@patina/store";
import { LiveQueries, type LiveRow, liveRowLine, type LiveSnapshot, type QueryChanges } from "@patina/subscriptions";
import Database from "better-sqlite3";
import { systemNow } from "../clock.js";
import { newLiveQueryId } from "./query-id.js";
import type { LiveFailure, LiveReply, LiveRequest, LiveStart, LiveThreadData } from "./protocol.js";

const port = must(parentPort, "a parent thread");
const { path, limits, rowsPerChunk } = workerData as LiveThreadData;
const db = new Database(path, { readonly: true, fileMustExist: true });
const live = new LiveQueries(db, newLiveQueryId, limits);

/** The rows a client has still to fetch, as they were when it attached. */
interface Cursor {
  readonly rows: readonly LiveRow[];
  at: number;
  readonly lastLine: string;
}

const cursors = new Map<number, Cursor>();

function perform(request: LiveRequest): LiveReply {
  switch (request.kind) {
    case "open":
      return open(request);
    case "attach":
      return attach(request.id, request.start);
    case "rows":
      return request.isWanted ? nextRows(request.cursor) : forgetRows(request.cursor);
    case "changes":
      return changed(live.onChanges(request.changes));
    case "rescan":
      return changed(live.rescan(request.id));
    case "close":
      live.close(request.id);
      return { kind: "done" };
  }
}

function open({ sql, params, start }: Extract<LiveRequest, { kind: "open" }>): LiveReply {
  if (start.from === undefined) return begin(() => live.open(sql, params), start);
  return resume(live.find(sql, params) ?? "with this text and these parameters", start.from);
}

function attach(id: string, start: LiveStart): LiveReply {
  return start.from === undefined ? begin(() => live.snapshot(id), start) : resume(id, start.from);
}

/** From the start: columns, rows, end of query. */
function begin(take: () => LiveSnapshot, { skipRows, cursor }: LiveStart): LiveReply {
  const startedMs = systemNow().monotonicMs;
  const { id, hash, table, columns, rows, changeId } = take();
  const time = (systemNow().monotonicMs - startedMs) / 1000;
  const head = `${JSON.stringify({ columns })}\n`;
  const lastLine = `${JSON.stringify({ eoq: { time, change_id: changeId } })}\n`;
  if (skipRows) return { kind: "attached", id, hash, table, lines: head + lastLine, hasRows: false };
  cursors.set(cursor, { rows, at: 0, lastLine });
  return { kind: "attached", id, hash, table, lines: head, hasRows: true };
}

/** Where the client left off: the changes it missed, and nothing else. */
function resume(id: string, from: number): LiveReply {
  const lines = live.changesAfter(id, from).join("");
  const { hash, table } = live.snapshot(id);
  return { kind: "attached", id, hash, table, lines, hasRows: false };
}

function nextRows(name: number): LiveReply {
  const cursor = must(cursors.get(name), "rows to fetch");
  let lines = "";
  for (const row of cursor.rows.slice(cursor.at, cursor.at + rowsPerChunk)) lines += liveRowLine(row);
  cursor.at += rowsPerChunk;
  if (cursor.at < cursor.rows.length) return { kind: "rows", lines, isLast: false };
  cursors.delete(name);
  return { kind: "rows", lines: lines + cursor.lastLine, isLast: true };
}

function forgetRows(name: number): LiveReply {
  cursors.delete(name);
  return { kind: "done" };
}

function changed(queries: readonly QueryChanges[]): LiveReply {
  return {
    kind: "changed",
    queries: queries.map(({ id, lines, ended }) => ({
      id,
      lines: lines.join(""),
      count: lines.length,
      ended: ended === undefined ? undefined : failureOf(ended),
    })),
  };
}

function failureOf({ code, message, hint }: AppError): LiveFailure {
  return { code, message, hint };
}

port.on("message", (request: LiveRequest) => {
  let reply: LiveReply;
  try {
    reply = perform(request);
  } catch (thrown) {
    const isSqlite = thrown instanceof Database.SqliteError;
    reply = { kind: "failed", failure: failureOf(isSqlite ? sqlError(thrown) : asAppError(thrown)) };
  }
  port.postMessage(reply);
});
port.postMessage({ kind: "ready" } satisfies LiveReply);
