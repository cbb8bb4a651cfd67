/** Slow work on the database file, in a thread of its own: WAL checkpoints, scrubs. One thing at a time. */
import { statSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { readBucket, scrub } from "@patina/store";
import Database from "better-sqlite3";
import { answer } from "../threads/answering.js";
import type { MaintenanceRequest } from "./protocol.js";

const { path, walLongBytes } = workerData as { path: string; walLongBytes: number };
const db = new Database(path, { fileMustExist: true });
db.pragma("busy_timeout = 0");

/** Under a flood, pages come in while others are written back: again, until so few are left that writers hardly wait. */
const PASSES_MAX = 8;
const BACKLOG_PAGES = 1000;

/** Writes back what it can without making anybody wait; the pages that are left. */
function backlog(): number {
  const [state] = db.pragma("wal_checkpoint(PASSIVE)") as { log: number; checkpointed: number }[];
  return state === undefined ? 0 : state.log - state.checkpointed;
}

/** How long it waits for its turn once the log has grown long. */
const LONG_LOG_WAIT_MS = 200;

function walBytes(): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

function perform(request: MaintenanceRequest): unknown {
  switch (request.kind) {
    case "checkpoint-wal": {
      // Passive never makes a writer wait, and in a quiet moment the log starts over by itself. Under a flood of writes there
      // is none, and a log that has grown long takes so long to cut that writers would stand still: so it is started over
      // before. That makes writers wait, comes second, with little left to do, and gives up when a reader stays in the way.
      for (let passes = 0; passes < PASSES_MAX && backlog() > BACKLOG_PAGES; passes++);
      if (walBytes() <= walLongBytes / 4) return request.truncate ? db.pragma("wal_checkpoint(TRUNCATE)") : undefined;
      db.pragma(`busy_timeout = ${LONG_LOG_WAIT_MS}`); // A writer without pause leaves no gap to slip into.
      const cut = db.pragma(`wal_checkpoint(${walBytes() > walLongBytes ? "TRUNCATE" : "RESTART"})`);
      db.pragma("busy_timeout = 0");
      return cut;
    }
    case "scrub": {
      const findings = scrub(db);
      return { findings };
    }
    case "read-bucket":
      return readBucket(db, request.table, request.bucket);
  }
}

answer(perform);
