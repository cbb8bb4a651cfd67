/**
 * What a regional agent answers beside what every agent does:
 *
 *   GET  /v1/apps                       which apps are here
 *   GET  /v1/apps/:app/placement        where an app is: here, or as a router says
 *   GET  /v1/apps/:app/instances        an app's machines, or that it is not here; `wait=` for a write of one's own first
 *   GET  /v1/apps/:app/watch            an app's machines, and again whenever they change
 *   GET  /v1/explain/:app               what this agent believes of an app, and why
 *   GET  /v1/border                     what this agent told the global tier
 *   POST /v1/border/doubts              a router found rows of this region that are not true, or make no sense
 */
import { AppError } from "@patina/base";
import { jsonBody, problemResponse } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { type Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { z } from "zod";
import type { BorderDriver } from "./border-driver.js";
import { Detail } from "./detail.js";
import { explainApp } from "./explain.js";
import { PlacementHere } from "./placement.js";
import { parseToken, Waiting } from "./waiting.js";
import { Watches } from "./watches.js";

const INSTANCES_DEFAULT = 100;
const INSTANCES_MAX = 10_000;
const WAIT_DEFAULT_MS = 1000;
const DOUBTS_MAX = 1000;

const doubts = z.object({
  rows: z.array(z.object({ app: z.string().max(1024).nullable(), reason: z.string().max(1024) })).max(DOUBTS_MAX),
});

export function regionalRoutes(process: AgentProcess, border: BorderDriver, globalApis: readonly string[]): Hono {
  const { name: region, generation } = process.store.cluster;
  const detail = new Detail(process.store);
  const here = new PlacementHere(process, detail, globalApis);
  const waiting = new Waiting(process);
  const watches = new Watches(process, detail);
  const app = new Hono();

  app.get("/v1/apps", (c) => c.json({ region, generation, apps: detail.apps() }));
  app.get("/v1/explain/:app", (c) => c.json(explainApp(process, border, detail, c.req.param("app"))));
  app.get("/v1/border", (c) => c.json({ region, generation, ...border.counts }));
  app.post("/v1/border/doubts", async (c) => {
    const parsed = doubts.safeParse(await jsonBody(c));
    if (!parsed.success) throw new AppError("bad-request", `these are no doubts: ${z.prettifyError(parsed.error)}`);
    return c.json({ taken: border.onDoubts(parsed.data.rows) });
  });
  app.get("/v1/apps/:app/placement", async (c) => {
    const waited = await waitedOf(c, waiting);
    const query = new URL(c.req.url).searchParams;
    if (waited.waited === true) query.delete("wait"); // It is here; nobody else needs to wait for it.
    const isEverywhere = query.get("everywhere") === "true" || query.has("regions");
    const placement = await here.find({ app: c.req.param("app"), isEverywhere, query });
    const status = { found: 200, absent: 404, unknown: 503 } as const;
    return c.json({ ...placement, ...(waited.waited === true ? { hasWaited: true } : {}) }, status[placement.result]);
  });
  app.get("/v1/apps/:app/watch", (c) => {
    const gone = new AbortController();
    const lines = watches.open(c.req.param("app"), { instancesMax: limitOf(c), signal: gone.signal });
    c.header("content-type", "application/x-ndjson");
    return stream(c, async (out) => {
      out.onAbort(() => gone.abort());
      for await (const line of lines) await out.write(line);
    });
  });
  app.get("/v1/apps/:app/instances", async (c) => {
    const name = c.req.param("app");
    const limit = limitOf(c);
    const waited = await waitedOf(c, waiting);
    const placement = detail.app(name);
    if (placement === undefined && !process.runtime.agent.hasSynced) {
      // It may just not have heard of it yet. Another agent of the region has.
      throw new AppError("not-ready", `this agent has not caught up with region ${region} yet`);
    }
    if (placement === undefined) {
      // The region is the authority on what is not here: the router takes this as an answer, with its generation.
      return problemResponse(new AppError("app-absent", `app ${name} is not in region ${region}`), {
        region,
        generation,
        ...waited,
      });
    }
    return c.json({ region, generation, ...placement, ...waited, machines: detail.instances(name, limit) });
  });
  return app;
}

function limitOf(c: Context): number {
  const limit = Number(c.req.query("limit") ?? INSTANCES_DEFAULT);
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= INSTANCES_MAX) return limit;
  throw new AppError("bad-request", `limit=${c.req.query("limit")} is not a number from 1 to ${INSTANCES_MAX}`);
}

/** Nothing unless a write is waited for; then whether it is one of this region's, and here. */
async function waitedOf(c: Context, waiting: Waiting): Promise<{ waited?: boolean }> {
  const text = c.req.query("wait");
  if (text === undefined) return {};
  const withinMs = Number(c.req.query("wait_ms") ?? WAIT_DEFAULT_MS);
  if (!(withinMs >= 0)) throw new AppError("bad-request", `wait_ms=${c.req.query("wait_ms")} is not a number`);
  return { waited: await waiting.until(parseToken(text), withinMs) };
}
