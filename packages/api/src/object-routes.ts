/**
 * Whole objects beside SQL, under `/v1/tables/:table/rows`. `GET` reads one by its key. `PUT` takes one object or a list of
 * them, and `DELETE` their keys: one request is one transaction, and an object that is there already, as it is, makes no
 * version. With `application/x-ndjson` both take a stream of any length instead, a slice of it a transaction.
 */
import { AppError, asAppError, type RowWrite, valueToJson } from "@patina/base";
import type { Context, Hono } from "hono";
import pLimit from "p-limit";
import { z } from "zod";
import { BulkLoad, type BulkLimits, type BulkProgress } from "./bulk-load.js";
import { conditionOf, etagOf, refuseTagsOfMany } from "./condition.js";
import { jsonBody } from "./json-body.js";
import { toValues } from "./object-line.js";
import type { AgentPort } from "./ports.js";
import { problemResponse } from "./problem.js";

const object = z.record(z.string(), z.unknown());
const objects = z.union([object.transform((one) => [one]), z.array(object).min(1, "send at least one object")]);

const NDJSON = new Set(["application/x-ndjson", "application/ndjson", "application/jsonl"]);

/** Does the request stream objects? Then its body as a whole has no limit. */
export function isObjectStream(c: Context): boolean {
  const [type = ""] = (c.req.header("content-type") ?? "").split(";");
  return NDJSON.has(type.trim().toLowerCase()) && /^\/v1\/tables\/[^/]+\/rows$/.test(c.req.path);
}

/** What objects need of an agent. */
export type ObjectsPort = Pick<AgentPort, "object" | "write" | "origin">;

export function addObjectRoutes(app: Hono, agent: ObjectsPort, limits: BulkLimits): void {
  const loads = new Loads(agent, limits);
  const write = async (c: Context, deleted: boolean): Promise<Response> => {
    return isObjectStream(c) ? loads.run(c, deleted) : writeObjects(c, agent, deleted);
  };
  app.get("/v1/tables/:table/rows", (c) => readObject(c, agent));
  app.put("/v1/tables/:table/rows", (c) => write(c, false));
  app.delete("/v1/tables/:table/rows", (c) => write(c, true));
}

function readObject(c: Context, agent: ObjectsPort): Response {
  const table = c.req.param("table") ?? "";
  const found = agent.object(table, c.req.query());
  if (found === undefined) {
    throw new AppError("row-absent", `${table} has no object with this key`, { hint: "PUT one to create it." });
  }
  if (found.tag !== undefined) c.header("etag", etagOf(found.tag));
  const values = Object.entries(found.values).map(([column, value]) => [column, valueToJson(value)]);
  return c.json(Object.fromEntries(values));
}

async function writeObjects(c: Context, agent: ObjectsPort, deleted: boolean): Promise<Response> {
  const table = c.req.param("table") ?? "";
  const condition = conditionOf(c);
  const parsed = objects.safeParse(await jsonBody(c));
  if (!parsed.success) {
    throw new AppError("bad-request", `the body is not what this route takes: ${z.prettifyError(parsed.error)}`, {
      hint: "Send one JSON object of column names and values, or a list of such objects.",
    });
  }
  if (parsed.data.length > 1) refuseTagsOfMany(condition);
  const row = rowPart(deleted, condition);
  const rows = parsed.data.map((values): RowWrite => ({ table, values: toValues(values), ...row }));
  const outcome = await agent.write({ kind: "rows", rows });
  if (!outcome.ok) throw outcome.error;
  if (outcome.tag !== undefined) c.header("etag", etagOf(outcome.tag));
  return c.json({
    rows_changed: outcome.rows.length,
    version: outcome.change?.version ?? null,
    actor_id: agent.origin,
  });
}

function rowPart(deleted: boolean, condition: RowWrite["condition"]): Pick<RowWrite, "deleted" | "condition"> {
  return condition === undefined ? { deleted } : { deleted, condition };
}

/** The loads under way on this agent. */
class Loads {
  readonly #agent: ObjectsPort;
  readonly #limits: BulkLimits;
  readonly #turns = pLimit(1);
  #running = 0;

  constructor(agent: ObjectsPort, limits: BulkLimits) {
    this.#agent = agent;
    this.#limits = limits;
  }

  async run(c: Context, deleted: boolean): Promise<Response> {
    const limits = this.#limits;
    const condition = conditionOf(c);
    refuseTagsOfMany(condition);
    if (this.#running >= limits.loadsMax) {
      throw new AppError("too-many", `${limits.loadsMax} loads are under way on this agent`, {
        hint: "Wait for one of them, or ask another agent.",
      });
    }
    this.#running++;
    const load = new BulkLoad({
      table: c.req.param("table") ?? "",
      row: rowPart(deleted, condition),
      write: (write) => this.#agent.write(write),
      turns: this.#turns,
      limits,
    });
    try {
      await load.run(bodyOf(c, limits.idleMs));
      return c.json(report(load.progress, this.#agent.origin));
    } catch (thrown) {
      const error = asAppError(thrown);
      const line = error.details["line"];
      const at = line === undefined ? error.message : `line ${String(line)}: ${error.message}`;
      const said = report(load.progress, this.#agent.origin);
      return problemResponse(error, { detail: at, ...said });
    } finally {
      this.#running--;
    }
  }
}

function report(progress: BulkProgress, origin: string) {
  return {
    committed_lines: progress.committedLines,
    rows_read: progress.rowsRead,
    rows_changed: progress.rowsChanged,
    versions: progress.versions,
    version: progress.lastVersion,
    actor_id: origin,
  };
}

/** The body as it comes. Throws `bad-request` when nothing comes for `idleMs`, or the client goes away. */
async function* bodyOf(c: Context, idleMs: number): AsyncGenerator<Uint8Array, void, void> {
  const reader = c.req.raw.body?.getReader();
  // The reader is let go, never cancelled: that would close the connection before the answer is sent.
  try {
    for (;;) {
      const next = reader === undefined ? undefined : await within(reader.read(), idleMs);
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    reader?.releaseLock();
  }
}

async function within<T>(reading: Promise<T>, idleMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new AppError("load-cut-off", `nothing came for ${idleMs / 1000} s`, { hint: CUT_OFF_HINT });
    timer = setTimeout(() => reject(error), idleMs);
  });
  try {
    return await Promise.race([reading, late]);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("load-cut-off", "the client went away", { cause, hint: CUT_OFF_HINT });
  } finally {
    clearTimeout(timer);
  }
}

const CUT_OFF_HINT = "Send the lines after the committed ones again.";
