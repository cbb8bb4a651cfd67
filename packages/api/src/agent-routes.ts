/**
 * The routes every agent has, regional or global: Corrosion's `/v1/transactions`, `/v1/queries` and
 * `/v1/subscriptions` in its shapes, and Patina's own beside them.
 */
import { AppError, type WriteOutcome } from "@patina/base";
import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { limitBodies } from "./body-limit.js";
import { type BulkLimits, defaultBulkLimits } from "./bulk-load.js";
import { endBodyOfHead } from "./head-body.js";
import { jsonBody } from "./json-body.js";
import { addHandoffRoutes } from "./handoff-routes.js";
import { addIntegrityRoutes } from "./integrity-routes.js";
import { addMemberRoutes } from "./member-routes.js";
import { agentOperations } from "./openapi/agent-operations.js";
import { openApiDocument, type Operations } from "./openapi/document.js";
import { addObjectRoutes, isObjectStream } from "./object-routes.js";
import type {
  AgentPort,
  CheckpointsPort,
  GenerationsPort,
  IntegrityPort,
  LiveQueriesPort,
  LiveQuery,
  OwnersPort,
} from "./ports.js";
import { problemOf, problemResponse } from "./problem.js";
import { addSchemaRoutes } from "./schema-routes.js";
import { parseStatement, parseTransaction } from "./statement.js";

export interface ApiLimits {
  readonly bodyBytesMax: number;
  readonly parametersMax: number;
  readonly bulk: BulkLimits;
}

export const defaultApiLimits: ApiLimits = { bodyBytesMax: 8 << 20, parametersMax: 32_766, bulk: defaultBulkLimits };

export interface AgentRoutes {
  readonly agent: AgentPort;
  readonly liveQueries: LiveQueriesPort;
  readonly checkpoints: CheckpointsPort;
  /** Undefined without an object store. */
  readonly generations: GenerationsPort | undefined;
  readonly integrity: IntegrityPort;
  readonly owners: OwnersPort;
  /** Milliseconds on a clock that only moves forward. */
  readonly monotonicMs: () => number;
  readonly limits?: ApiLimits;
  /** What the tier answers beside these, or in place of one of them: it is asked first. */
  readonly tierRoutes?: Hono;
  /** Those of the tier, described. */
  readonly tierOperations?: Operations;
}

const NDJSON = "application/x-ndjson";

export function agentRoutes(parts: AgentRoutes): Hono {
  const limits = parts.limits ?? defaultApiLimits;
  const app = new Hono();
  app.onError((thrown) => problemResponse(thrown));
  app.notFound((c) => {
    const hint = "GET /v1/openapi.json has every route, and what it takes.";
    return problemResponse(new AppError("bad-request", `no such route: ${c.req.method} ${c.req.path}`, { hint }), {
      status: 404,
    });
  });
  app.use(endBodyOfHead);
  app.use(limitBodies(limits.bodyBytesMax, isObjectStream));
  if (parts.tierRoutes !== undefined) app.route("/", parts.tierRoutes);
  addSqlRoutes(app, parts, limits);
  addObjectRoutes(app, parts.agent, limits.bulk);
  addSubscriptionRoutes(app, parts, limits);
  addStateRoutes(app, parts);
  addIntegrityRoutes(app, parts.integrity);
  addSchemaRoutes(app, parts.agent);
  addHandoffRoutes(app, parts.agent, parts.owners);
  addMemberRoutes(app, parts.agent);
  addCheckpointRoutes(app, parts.checkpoints, parts.generations);
  app.get("/v1/openapi.json", (c) => c.json(document));
  const document = openApiDocument(app.routes, { ...agentOperations, ...parts.tierOperations });
  return app;
}

function addSqlRoutes(app: Hono, { agent, monotonicMs }: AgentRoutes, limits: ApiLimits): void {
  app.post("/v1/transactions", async (c) => {
    const began = monotonicMs();
    const statements = parseTransaction(await jsonBody(c), limits.parametersMax);
    const outcome = await agent.write({ kind: "statements", statements });
    return transactionResponse(c, outcome, agent.origin, (monotonicMs() - began) / 1000);
  });

  app.post("/v1/queries", async (c) => {
    const began = monotonicMs();
    const { sql, params } = parseStatement(await jsonBody(c), limits.parametersMax);
    const { columns, batches } = await agent.query(sql, params, timeoutMs(c));
    c.header("content-type", NDJSON);
    return stream(c, async (out) => {
      out.onAbort(() => void batches.return());
      await out.write(`${JSON.stringify({ columns })}\n`);
      try {
        for await (const lines of batches) await out.write(lines);
        await out.write(`${JSON.stringify({ eoq: { time: (monotonicMs() - began) / 1000 } })}\n`);
      } catch (thrown) {
        const { detail, code, hint } = problemOf(thrown);
        await out.write(`${JSON.stringify({ error: detail, code, hint })}\n`);
      }
    });
  });
}

function transactionResponse(c: Context, outcome: WriteOutcome, origin: string, time: number): Response {
  if (!outcome.ok) return problemResponse(outcome.error, { results: [{ error: outcome.error.message }] });
  return c.json({
    results: outcome.rowsAffected.map((rows) => ({ rows_affected: rows, time })),
    time,
    version: outcome.change?.version ?? null,
    actor_id: origin,
  });
}

function addSubscriptionRoutes(app: Hono, { liveQueries }: AgentRoutes, limits: ApiLimits): void {
  app.post("/v1/subscriptions", async (c) => {
    const { sql, params } = parseStatement(await jsonBody(c), limits.parametersMax);
    return streamLive(c, await liveQueries.open(sql, params, attachOptions(c)));
  });
  app.get("/v1/subscriptions/:id", async (c) => {
    return streamLive(c, await liveQueries.attach(c.req.param("id"), attachOptions(c)));
  });
}

function streamLive(c: Context, { id, hash, lines }: LiveQuery): Response {
  c.header("content-type", NDJSON);
  c.header("corro-query-id", id);
  c.header("corro-query-hash", hash);
  return stream(c, async (out) => {
    out.onAbort(() => void lines.return());
    for await (const line of lines) await out.write(line);
  });
}

function addStateRoutes(app: Hono, { agent }: AgentRoutes): void {
  app.get("/v1/digest", (c) => {
    return c.json({ cluster: agent.cluster, node: agent.nodeId, ...agent.digest(c.req.query("buckets")) });
  });
  app.get("/livez", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const readiness = agent.readiness();
    return c.json(readiness, readiness.ready ? 200 : 503);
  });
  app.get("/metrics", async (c) => c.text(await agent.metrics(), 200, { "content-type": "text/plain; version=0.0.4" }));
}

function addCheckpointRoutes(app: Hono, checkpoints: CheckpointsPort, generations: GenerationsPort | undefined): void {
  app.get("/v1/checkpoints", async (c) => c.json({ checkpoints: await checkpoints.list() }));
  app.post("/v1/checkpoints", async (c) => c.json(await checkpoints.create(), 201));
  app.get("/v1/checkpoints/:id", async (c) => c.json(await checkpoints.show(c.req.param("id"))));
  app.post("/v1/checkpoints/:id/verify", async (c) => {
    return c.json(await checkpoints.verify(c.req.param("id"), c.req.query("data") !== "false"));
  });
  app.post("/v1/checkpoints/:id/drill", async (c) => c.json(await checkpoints.drill(c.req.param("id")), 201));
  app.get("/v1/checkpoint-notes", (c) => c.json({ notes: checkpoints.notes() }));
  app.get("/v1/checkpoints/:id/beyond", async (c) => c.json({ rows: await checkpoints.beyond(c.req.param("id")) }));
  app.post("/v1/generation/check", async (c) => c.json({ generation: await generations?.check() }));
}

function timeoutMs(c: Context): number | undefined {
  const text = c.req.query("timeout");
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds * 1000;
  throw new AppError("bad-request", `timeout=${text} is not a number of seconds up to 3600`, {
    hint: "Write ?timeout=30.",
  });
}

function attachOptions(c: Context): { from: number | undefined; skipRows: boolean } {
  const text = c.req.query("from");
  const from = text === undefined || text === "0" ? undefined : Number(text); // Corrosion's 0 means "from the start".
  if (from !== undefined && (!Number.isSafeInteger(from) || from < 0)) {
    throw new AppError("bad-request", `from=${text} is not a change id`, { hint: "Use the last change id you saw." });
  }
  return { from, skipRows: c.req.query("skip_rows") === "true" };
}
