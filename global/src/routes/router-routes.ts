/**
 * What the router answers:
 *
 *   GET /v1/apps                   the map, a page at a time     GET /v1/apps/:app/placement   where an app is, now
 *   GET /v1/regions                every region, and how fresh what is known of it is
 *   GET /v1/explain/:app           what every tier believes of an app, and why
 */
import { gradeOf } from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { Hono } from "hono";
import { explainApp, type ExplainParts } from "../explain.js";
import { addPlacementRoute } from "../placement/placement-route.js";
import { addAppList } from "./app-list.js";

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
  addAppList(app, rib.fib);
  addPlacementRoute(app, resolver);
}
