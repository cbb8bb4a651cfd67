/** Queries across regions that come all at once, to a region that answers none of them. */
import { problemResponse } from "@patina/api";
import { NOTHING_OFF } from "@patina/router";
import { RouterMetrics } from "@patina/telemetry";
import { Hono } from "hono";
import { Registry } from "prom-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Resolver } from "../placement/resolver.js";
import { WatchedRegion } from "../testing/watched-region.js";
import { addQueryRoutes } from "./query-routes.js";

/** As the routes have it. */
const QUERIES_MAX = 64;

let region: WatchedRegion;
let app: Hono;
let isOff: boolean;

beforeEach(async () => {
  region = await WatchedRegion.start();
  isOff = false;
  const { rib } = region;
  const resolver = new Resolver({
    view: () => ({ fib: rib.fib, regions: rib.regions, complete: true, expected: [] }),
    switches: () => NOTHING_OFF,
    onDoubt: () => undefined,
    metrics: new RouterMetrics(new Registry(), { apps: () => 0, quarantined: () => 0, watchers: () => 0 }),
  });
  app = new Hono();
  app.onError((thrown) => problemResponse(thrown));
  addQueryRoutes(app, { rib, resolver, isOff: () => isOff });
});

afterEach(async () => {
  await region.close();
});

const query = async (more = ""): Promise<Response> =>
  app.request(`/v1/queries?scope=all${more}`, { method: "POST", body: JSON.stringify("SELECT 1") });

test("a burst gets no more than there is room for, and room again when one has ended", async () => {
  const responses = await Promise.all(Array.from({ length: QUERIES_MAX + 6 }, async () => query()));
  const refused = responses.filter(({ status }) => status === 429);
  expect(refused).toHaveLength(6);
  expect(await refused[0]?.json()).toMatchObject({ code: "too-many", hint: expect.any(String) });
  const taken = responses.filter(({ status }) => status === 200);
  await taken.pop()?.body?.cancel();
  await vi.waitFor(async () => {
    const again = await query();
    expect(again.status).toBe(200);
    taken.push(again);
  });
  await Promise.all(taken.map(async ({ body }) => body?.cancel()));
});

test("every refusal says what to do", async () => {
  const hint = expect.any(String);
  expect(await (await query("&timeout=soon")).json()).toMatchObject({ code: "bad-request", hint });
  isOff = true;
  expect(await (await query()).json()).toMatchObject({ code: "switched-off", hint });
});
