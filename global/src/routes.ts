/**
 * What a global agent answers beside what every agent does: borders publish to it, and its router resolves apps.
 *
 *   POST /v1/placements            a border's rows        GET /v1/placements?region=R   what the index holds of a region
 *   POST /v1/regions/:region       a border's heartbeat   GET /v1/regions               every region, and how fresh it is
 *   GET  /v1/apps                  the map                GET /v1/apps/:app/placement   where an app is, now
 */
import { AppError, type RowWrite } from "@patina/base";
import { jsonBody } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { defaultRouterConfig, gradeOf, type Placement, type ResolveOptions } from "@patina/router";
import { systemNow } from "@patina/runtime";
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Resolver } from "./resolver.js";
import type { Rib } from "./rib.js";
import { INDEX } from "./tier.js";

const regionName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
const stamp = z.string().regex(/^\d{1,19}$/);
const generation = z.number().int().positive();

const publication = z.strictObject({
  region: regionName,
  generation,
  rows: z
    .array(
      z.strictObject({
        app: z.string().min(1).max(INDEX.appBytesMax),
        class: z.enum(["serving", "standby"]).nullable(),
        high_water: stamp,
      }),
    )
    .max(INDEX.rowsPerPublishMax),
});

const heartbeat = z.strictObject({
  generation,
  heartbeat_ms: z.number().int().positive(),
  stamp,
  high_water: stamp,
  apis: z.array(z.url()).max(64),
  agents: z.number().int().nonnegative(),
  apps: z.number().int().nonnegative(),
});

export function globalRoutes(process: AgentProcess, rib: Rib, resolver: Resolver): Hono {
  const app = new Hono();
  addIndexRoutes(app, process);
  addRouterRoutes(app, rib, resolver);
  return app;
}

function addIndexRoutes(app: Hono, process: AgentProcess): void {
  /** Rows of the index that borders changed through this agent since it started: each a transition, or a repair. */
  let rowsWritten = 0;
  app.get("/v1/index", (c) => c.json({ rows_written: rowsWritten }));

  app.post("/v1/placements", async (c) => {
    const { region, generation: epoch, rows } = await checkedBody(c, publication);
    const written = await writeRows(
      process,
      rows.map(({ app: name, class: cls, high_water }) => ({
        table: "placements",
        values: { app: name, region, ...(cls === null ? {} : { class: cls }) },
        deleted: cls === null,
        stamp: { epoch, hlc: BigInt(high_water) },
      })),
    );
    rowsWritten += written;
    return c.json({ written });
  });

  app.post("/v1/regions/:region", async (c) => {
    const region = regionName.safeParse(c.req.param("region"));
    if (!region.success) throw new AppError("bad-request", `${c.req.param("region")} is not a region's name`);
    const { stamp: hlc, generation: epoch, apis, ...beat } = await checkedBody(c, heartbeat);
    const { heartbeat_ms, high_water, agents, apps } = beat;
    const values = {
      region: region.data,
      generation: BigInt(epoch),
      heartbeat_ms: BigInt(heartbeat_ms),
      high_water,
      apis: JSON.stringify(apis),
      agents: BigInt(agents),
      apps: BigInt(apps),
    };
    return c.json({
      written: await writeRows(process, [{ table: "regions", values, stamp: { epoch, hlc: BigInt(hlc) } }]),
    });
  });

  app.get("/v1/placements", (c) => {
    const sql =
      "SELECT app, class, _patina_epoch, _patina_hlc FROM _patina_rows_placements WHERE region = ? ORDER BY app";
    const rows = process.store.read(sql, [c.req.query("region") ?? ""]);
    return c.json({
      rows: rows.map(([name, cls, epoch, hlc]) => ({
        app: name,
        class: cls,
        generation: Number(epoch),
        high_water: String(hlc),
      })),
    });
  });
}

function addRouterRoutes(app: Hono, rib: Rib, resolver: Resolver): void {
  app.get("/v1/regions", (c) => {
    const regions = [...rib.regions.values()].map((region) => {
      return { ...region, ...gradeOf(region, systemNow(), defaultRouterConfig) };
    });
    return c.json({ regions: regions.sort((a, b) => (a.region < b.region ? -1 : 1)) });
  });

  app.get("/v1/apps", (c) => {
    const limit = Math.min(INDEX.appsPerPageMax, Number(c.req.query("limit") ?? INDEX.appsPerPageMax) || 1);
    const after = c.req.query("after") ?? "";
    const names = [...rib.fib.apps()].filter((name) => name > after).sort();
    const apps = names.slice(0, limit).map((name) => {
      return { app: name, regions: rib.fib.lookup(name).map(({ region, class: cls }) => ({ region, class: cls })) };
    });
    return c.json({ total: rib.fib.size, apps, next: names.length > limit ? apps.at(-1)?.app : null });
  });

  app.get("/v1/apps/:app/placement", async (c) => {
    const placement = await resolver.resolve(c.req.param("app"), resolveOptions(c));
    return c.json(placement, statusOf(placement));
  });
}

/** A "no" that is proven is 404; not knowing is 503, since asking again may help. */
function statusOf({ result }: Placement): 200 | 404 | 503 {
  return result === "found" ? 200 : result === "absent" ? 404 : 503;
}

function resolveOptions(c: Context): ResolveOptions {
  const near = c.req.query("near");
  const regions = c.req.query("regions")?.split(",");
  const maxAge = c.req.query("max_age");
  const maxAgeMs = maxAge === undefined ? undefined : Number(maxAge) * 1000;
  if (maxAgeMs !== undefined && !(maxAgeMs >= 0)) {
    throw new AppError("bad-request", `max_age=${maxAge} is not a number of seconds`, { hint: "Write ?max_age=5." });
  }
  return {
    ...(near === undefined ? {} : { near }),
    ...(regions === undefined ? {} : { regions }),
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    ...(c.req.query("require") === "live" ? { requireLive: true } : {}),
  };
}

async function writeRows(process: AgentProcess, rows: readonly RowWrite[]): Promise<number> {
  const outcome = await process.runtime.write({ kind: "rows", rows });
  if (!outcome.ok) throw outcome.error;
  return outcome.rows.length;
}

async function checkedBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await jsonBody(c));
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `the body is not what this route takes: ${z.prettifyError(parsed.error)}`);
}
