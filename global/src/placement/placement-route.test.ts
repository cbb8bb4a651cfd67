/** The direct route against the ordinary one: the same resolver, the same moment, and so the same bytes. */
import { once } from "node:events";
import { connect } from "node:net";
import { placementDocument, problemResponse, serveApi } from "@patina/api";
import { AppError } from "@patina/base";
import {
  Fib,
  type GivenAnswer,
  NOTHING_OFF,
  type RegionState,
  type Route,
  type Switches,
  testRouterConfig,
} from "@patina/router";
import { RouterMetrics } from "@patina/telemetry";
import fc from "fast-check";
import { Hono } from "hono";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import { addPlacementRoute, directPlacement } from "./placement-route.js";
import { Resolver } from "./resolver.js";

const REGIONS = ["fra", "iad", "syd"] as const;
const APPS = ["web", "api.v2", "a~b"] as const;

/** A router in a world that is turned by hand: clock, map, regions, what they say, and what is switched off. */
class World {
  readonly fib = new Fib();
  readonly regions = new Map<string, RegionState>();
  readonly registry = new Registry();
  readonly app = new Hono();
  readonly says = new Map<string, "here" | "not-here" | "dead">();
  complete = true;
  switches: Switches = NOTHING_OFF;
  nowMs = 1000;
  asked = 0;
  readonly resolver = new Resolver({
    view: () => ({ fib: this.fib, regions: this.regions, complete: this.complete, expected: ["iad"] }),
    switches: () => this.switches,
    onDoubt: () => undefined,
    metrics: new RouterMetrics(this.registry, { apps: () => 0, quarantined: () => 0, watchers: () => 0 }),
    config: { ...testRouterConfig, answersMax: 100 },
    now: () => ({ monotonicMs: this.nowMs, wallMs: this.nowMs + 1e12 }),
    ask: async (plan, region) => this.#answer(plan.app, region),
  });
  readonly direct = directPlacement(this.resolver);

  constructor() {
    this.app.onError((thrown) => problemResponse(thrown));
    addPlacementRoute(this.app, this.resolver);
  }

  route(app: string, region: string, highWater: bigint): void {
    const others = this.fib.lookup(app).filter((route) => route.region !== region);
    const route: Route = { region, class: highWater % 2n === 0n ? "serving" : "standby", generation: 1, highWater };
    this.fib.set(app, [...others, route]);
    this.resolver.forget(app);
  }

  heartbeat(region: string, lateMs: number, generation: number): void {
    const heartbeatMs = this.nowMs + 1e12 - lateMs;
    this.regions.set(region, { region, generation, heartbeatMs, apps: 1, apis: [`http://${region}`] });
  }

  async #answer(app: string, region: string): Promise<GivenAnswer> {
    this.asked++;
    const outcome = this.says.get(region) ?? "here";
    if (outcome === "dead") throw new AppError("agent-unreachable", "it is dead");
    if (outcome === "not-here") return { region, outcome, generation: 1 };
    const machine = { id: `${app} "ü" ${this.asked}`, ageMs: 0.5, grade: "fresh", source: "kept" };
    return { region, outcome, generation: 1, ageMs: 0, machines: [machine, { id: 2 }, { id: 3 }] };
  }
}

type Turn = (world: World) => void;

const region = fc.constantFrom(...REGIONS);
const app = fc.constantFrom(...APPS);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  fc.double({ min: 0.1, max: 20, noNaN: true }).map(
    (ms): Turn =>
      (world) =>
        void (world.nowMs += ms),
  ),
  fc.tuple(app, region, fc.bigInt(1n, 9n)).map(
    (route): Turn =>
      (world) =>
        world.route(...route),
  ),
  fc.tuple(region, fc.nat(2000), fc.nat(2)).map(
    (beat): Turn =>
      (world) =>
        world.heartbeat(...beat),
  ),
  fc.tuple(region, fc.constantFrom("here", "not-here", "dead")).map(
    ([name, says]): Turn =>
      (world) =>
        void world.says.set(name, says),
  ),
  fc.boolean().map(
    (complete): Turn =>
      (world) =>
        void (world.complete = complete),
  ),
  fc.subarray(["kept", "probe"] as const).map(
    (features): Turn =>
      (world) =>
        void (world.switches = { ...NOTHING_OFF, features }),
  ),
);

const pair = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("max_age=0.05", "max_age=30", "max_age=0", "near=iad", "near=fra") },
  fc.constantFrom(
    "regions=iad",
    "regions=iad,nrt",
    "require=live",
    "require=best",
    "max_age=x",
    "near=91,0",
    "max_age",
  ),
  fc.constantFrom("wait=soon", "near=", "max%5fage=1", "max_age=1%30", "near=i+d", "other=1", ""),
);
/** One app most of the time, and one age: what stands is asked for again, with something else in between. */
const query = fc.oneof(
  { weight: 6, arbitrary: fc.constant("?max_age=30") },
  { weight: 1, arbitrary: fc.constant("") },
  { weight: 2, arbitrary: fc.array(pair, { maxLength: 3 }).map((pairs) => `?${pairs.join("&")}`) },
);
const url = fc
  .tuple(fc.oneof({ weight: 4, arbitrary: fc.constant("web") }, app), query)
  .map(([name, asking]) => `/v1/apps/${name}/placement${asking}`);

test("whatever has happened and is asked, the direct route says what the ordinary one says, or leaves it to that", async () => {
  let answered = 0;
  const round = fc.record({ turns: fc.array(turn, { maxLength: 1 }), url });
  const property = fc.asyncProperty(fc.array(round, { minLength: 30, maxLength: 60, size: "max" }), async (rounds) => {
    const world = new World();
    for (const name of REGIONS) world.heartbeat(name, 0, 1);
    for (const name of APPS) world.route(name, "iad", 2n);
    for (const { turns, url: asked } of rounds) {
      for (const each of turns) each(world);
      const before = world.asked;
      const direct = attempt(() => world.direct(asked));
      expect(world.asked).toBe(before);
      const ordinary = await world.app.request(asked);
      if (ordinary.status !== 400) placementDocument.parse(await ordinary.clone().json());
      if (direct === undefined) continue;
      answered++;
      expect([direct.status, direct.json]).toEqual([ordinary.status, await ordinary.text()]);
      expect(world.asked).toBe(before);
    }
  });
  await fc.assert(property, { numRuns: 300 });
  expect(answered).toBeGreaterThan(500); // About twice that, as a rule: the direct route is not silent throughout.
}, 60_000);

/** The server leaves to the ordinary route what the direct one throws at. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(AppError);
    return undefined;
  }
}

/** The order of a response's head means nothing. */
function headSorted(response: string): string {
  const [head = "", ...body] = response.split("\r\n\r\n");
  return [head.split("\r\n").sort().join("\r\n"), ...body].join("\r\n\r\n");
}

test("on the wire the two say the same, and both are counted", async () => {
  const world = new World();
  world.heartbeat("iad", 0, 1);
  world.route("web", "iad", 2n);
  const address = { host: "127.0.0.1", port: 0 };
  const servers = [await serveApi(world.app, address), await serveApi(world.app, address, { direct: world.direct })];
  try {
    await world.app.request("/v1/apps/web/placement");
    world.nowMs += 12.25;
    const path = "/v1/apps/web/placement?max_age=0.05";
    const texts: string[] = [];
    for (const { port } of servers) for (let i = 0; i < 2; i++) texts.push(headSorted(await rawGet(port, path)));
    expect(texts[0]).toContain('"ageMs":13');
    expect(texts).toEqual(texts.map(() => texts[0]));
    expect(world.asked).toBe(1);
    expect(await world.registry.metrics()).toContain('patina_resolutions_total{result="found"} 5');
  } finally {
    for (const server of servers) await server.close();
  }
});

async function rawGet(port: number, path: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  let text = "";
  socket.setEncoding("utf8").on("data", (part: string) => (text += part));
  socket.write(`GET ${path} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n`);
  await once(socket, "close");
  return text.replace(/^Date: .*$/m, "Date: now");
}
