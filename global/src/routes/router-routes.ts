/**
 * What the router answers:
 *
 *   GET /v1/apps                   the map, a page at a time     GET /v1/apps/:app/placement   where an app is, now
 *   GET /v1/regions                every region, and how fresh what is known of it is
 *   GET /v1/explain/:app           what every tier believes of an app, and why
 */
import { AppError } from "@patina/base";
import { gradeOf, type Near, type Placement, type ResolveOptions, type Token } from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { Context, Hono } from "hono";
import { explainApp, type ExplainParts } from "../explain.js";
import { INDEX } from "../tier.js";

export function addRouterRoutes(app: Hono, parts: ExplainParts): void {
  const { rib, resolver } = parts;
  app.get("/v1/explain/:app", async (c) => c.json(await explainApp(parts, c.req.param("app"))));
  app.get("/v1/regions", (c) => {
    const now = systemNow();
    const regions = [...rib.regions.values()].map((region) => ({
      ...region,
      ...gradeOf(region, now, resolver.config),
      rttMs: resolver.health.rttMs(region.region) ?? null,
      circuit: resolver.health.stateOf(region.region, now.monotonicMs),
    }));
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

/** Throws `bad-request` for what it does not understand: a bound that is ignored is worse than none. */
function resolveOptions(c: Context): ResolveOptions {
  const near = c.req.query("near");
  const regions = c.req.query("regions")?.split(",");
  const maxAge = c.req.query("max_age");
  const wait = c.req.query("wait");
  const require = c.req.query("require");
  if (require !== undefined && require !== "live") {
    throw new AppError("bad-request", `require=${require} is not known`, { hint: "Write ?require=live." });
  }
  return {
    ...(near === undefined ? {} : { near: nearOf(near) }),
    ...(regions === undefined ? {} : { regions }),
    ...(maxAge === undefined ? {} : { maxAgeMs: maxAgeMsOf(maxAge) }),
    ...(require === undefined ? {} : { requireLive: true }),
    ...(wait === undefined ? {} : { wait: tokenOf(wait) }),
  };
}

function maxAgeMsOf(text: string): number {
  const seconds = text === "" ? NaN : Number(text);
  if (seconds >= 0) return seconds * 1000;
  throw new AppError("bad-request", `max_age=${text} is not a number of seconds`, { hint: "Write ?max_age=5." });
}

function nearOf(text: string): Near {
  if (!text.includes(",")) return text;
  const [lat = NaN, lon = NaN, ...more] = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (more.length === 0 && Math.abs(lat) <= 90 && Math.abs(lon) <= 180) return { lat, lon };
  throw new AppError("bad-request", `near=${text} is neither a region nor a place`, {
    hint: "Write ?near=iad or ?near=38.9,-77.4 (latitude, longitude).",
  });
}

function tokenOf(text: string): Token {
  const [, origin, version] = /^([0-9a-f]{48}):(\d{1,15})$/.exec(text) ?? [];
  if (origin !== undefined) return { origin, version: Number(version) };
  throw new AppError("bad-request", `wait=${text} names no write`, {
    hint: "Write ?wait=ACTOR_ID:VERSION with what /v1/transactions answered.",
  });
}
