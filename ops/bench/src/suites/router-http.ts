/** A global agent's own placement route on a server, but for the way to the regions, and what it is to be compared with. */
import { serveApi } from "@patina/api";
import { addPlacementRoute, directPlacement, Resolver } from "@patina/global";
import { type InstanceRow, NOTHING_OFF, type RouterView } from "@patina/router";
import { RouterMetrics } from "@patina/telemetry";
import { Hono } from "hono";
import { Registry } from "prom-client";
import type { HttpRate } from "../http-load.js";
import { type Figure, figure } from "../report.js";

/** Serves `/`, bare, and the placements of a map whose regions all say that they have these machines. */
export async function startRouter(view: RouterView, machines: readonly InstanceRow[]): ReturnType<typeof serveApi> {
  const none = (): number => 0;
  const resolver = new Resolver({
    view: () => view,
    switches: () => NOTHING_OFF,
    onDoubt: () => undefined,
    metrics: new RouterMetrics(new Registry(), { apps: none, quarantined: none, watchers: none }),
    ask: async (_plan, region) => ({ region, outcome: "here", generation: 1, machines: [...machines], ageMs: 0 }),
  });
  const app = new Hono();
  app.get("/", (c) => c.text("ok"));
  addPlacementRoute(app, resolver);
  return serveApi(app, { host: "127.0.0.1", port: 0 }, { direct: directPlacement(resolver) });
}

export function httpFigures(results: Record<"bareHttp" | "askHttp" | "keptHttp", HttpRate[]>): Figure[] {
  const rates = (name: string, of: HttpRate[]) => {
    return { name, unit: "requests/s", values: of.map(({ perSecond }) => perSecond) };
  };
  const p99s = (name: string, of: HttpRate[]) => {
    return { name: `${name}, p99`, unit: "ms", values: of.map(({ p99Ms }) => p99Ms) };
  };
  const [bare, ask, kept] = [
    "bare hono route",
    "resolve over HTTP, regions asked in memory",
    "resolve over HTTP, kept",
  ];
  const [bareRate, bareP99] = [rates(bare, results.bareHttp), p99s(bare, results.bareHttp)];
  return [
    figure(bareRate),
    figure(bareP99),
    figure(rates(ask, results.askHttp), { versus: bareRate, better: "more" }),
    figure(rates(kept, results.keptHttp), { versus: bareRate, better: "more", goal: { of: "ratio", atLeast: 0.8 } }),
    // Half as good is twice as long.
    figure(p99s(kept, results.keptHttp), { versus: bareP99, better: "less", goal: { of: "ratio", atLeast: 0.5 } }),
  ];
}
