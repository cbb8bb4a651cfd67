/** Watching over real streams: who comes as the last one's time runs out, and a region that stays away for long. */
import { getEventListeners } from "node:events";
import { defaultRouterConfig, type PlacedRegion } from "@patina/router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WatchedRegion } from "../testing/watched-region.js";
import { RegionWatch } from "./region-watch.js";
import { Watches } from "./watches.js";

let region: WatchedRegion;

beforeEach(async () => {
  region = await WatchedRegion.start();
});

afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  await region.close();
});

test("who comes just before a watch would end goes on with it", { timeout: 10_000 }, async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const config = { ...defaultRouterConfig, askTimeoutMs: 60_000 };
  const watches = new Watches({ rib: region.rib, config, isOff: () => false });
  (await watches.open("web", undefined)).close();
  await vi.advanceTimersByTimeAsync(29_500);
  region.place("web"); // Its region has said nothing yet: who comes now waits a second for it.
  const opening = watches.open("web", undefined);
  await vi.advanceTimersByTimeAsync(1500);
  const watcher = await opening;
  expect(await watcher.next()).toMatchObject([{ snapshot: { app: "web" } }]);
  vi.useRealTimers();
  await vi.waitFor(() => expect(region.streams.size).toBe(1));
  region.say(2);
  expect(await watcher.next()).toMatchObject([{ region: { region: "iad", instances: [{}, {}] } }]);
  watches.close();
});

test("nobody begins to watch at a router that stops", async () => {
  region.place("web");
  const watches = new Watches({ rib: region.rib, config: defaultRouterConfig, isOff: () => false });
  const opening = watches.open("web", undefined);
  watches.close();
  await expect(opening).rejects.toMatchObject({ code: "not-ready" });
  expect(watches.watchers).toBe(0);
});

test("a region that stays away leaves nothing behind with each retry", async () => {
  const signals: AbortSignal[] = [];
  vi.stubGlobal(
    "AbortController",
    class extends AbortController {
      constructor() {
        super();
        signals.push(this.signal);
      }
    },
  );
  const states: (PlacedRegion | undefined)[] = [];
  const watch = new RegionWatch({
    app: "web",
    region: "iad",
    config: defaultRouterConfig,
    stateOf: () => undefined,
    routeOf: () => undefined,
    onState: (state) => states.push(state),
  });
  await vi.waitFor(() => expect(states).toHaveLength(4), { timeout: 10_000 });
  for (const signal of signals) expect(getEventListeners(signal, "abort").length).toBeLessThanOrEqual(1);
  watch.close();
});
