/** A watched app, against a model that has only ever seen what it was sent. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PlacedRegion } from "../merge.js";
import { AppWatch, type WatchConfig, type WatchEvent } from "./app-watch.js";
import { WatcherQueue } from "./watcher-queue.js";

const config: WatchConfig = { historyMax: 3, queueMax: 4 };
const at = (region: string, machines: number, ageMs = 0): PlacedRegion => ({
  region,
  class: "serving",
  grade: "live",
  ageMs,
  source: "region",
  instances: Array.from({ length: machines }, (_, id) => ({ id })),
});
const tokenOf = (event: WatchEvent | undefined): string | undefined =>
  event !== undefined && "token" in event ? event.token : undefined;

describe("a watched app", () => {
  test("tells what changed, and nothing of what is as it was", () => {
    const watch = new AppWatch("web", "e", config);
    expect(watch.set("iad", at("iad", 1))).toMatchObject({ region: { region: "iad" } });
    expect(watch.set("iad", at("iad", 1, 500))).toBeUndefined();
    expect(watch.set("iad", undefined)).toMatchObject({ gone: "iad" });
    expect(watch.set("iad", undefined)).toBeUndefined();
  });

  test("goes on after a token, and says when it cannot", () => {
    const watch = new AppWatch("web", "e", config);
    const tokens = [1, 2, 3, 4, 5].map((n) => tokenOf(watch.set("iad", at("iad", n))));
    expect(watch.since(tokens[4])).toEqual([]);
    expect(watch.since(tokens[2]).map(tokenOf)).toEqual(tokens.slice(3));
    expect(watch.since(tokens[0])).toMatchObject([{ lagged: 4 }, { snapshot: {} }]);
    for (const foreign of ["f-1", "e-9", "e-x", "", "e"]) {
      expect(watch.since(foreign)).toMatchObject([{ reset: expect.any(String) }, { snapshot: {} }]);
    }
  });
});

test("whoever is slow, goes away and comes back ends with what is so, and its queue is bounded", () => {
  const name = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({ what: fc.constant("set" as const), region: name, machines: fc.nat(2) }),
    fc.record({ what: fc.constant("gone" as const), region: name, machines: fc.constant(0) }),
    fc.record({ what: fc.constant("read" as const), region: name, machines: fc.constant(0) }),
    fc.record({ what: fc.constant("return" as const), region: name, machines: fc.constant(0) }),
  );
  const property = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const watch = new AppWatch("web", "e", config);
    const seen = new Map<string, PlacedRegion>();
    let token: string | undefined;
    let queue = new WatcherQueue(config);
    queue.push(...watch.since(undefined));
    const read = (): void => {
      const events = queue.take(() => watch.snapshot());
      expect(events.length).toBeLessThanOrEqual(config.queueMax);
      for (const event of events) {
        if ("snapshot" in event) {
          seen.clear();
          for (const each of event.snapshot.regions) seen.set(each.region, each);
        } else if ("region" in event) seen.set(event.region.region, event.region);
        else if ("gone" in event) seen.delete(event.gone);
        token = tokenOf(event) ?? token;
      }
    };
    for (const { what, region, machines } of steps) {
      if (what === "read") read();
      else if (what === "return") {
        queue = new WatcherQueue(config);
        queue.push(...watch.since(token));
      } else {
        const change = watch.set(region, what === "set" ? at(region, machines) : undefined);
        if (change !== undefined) queue.push(change);
      }
    }
    read();
    const [now] = watch.since(undefined);
    if (now === undefined || !("snapshot" in now)) throw new Error("no snapshot");
    expect([...seen.values()].sort((a, b) => (a.region < b.region ? -1 : 1))).toEqual(now.snapshot.regions);
  });
  fc.assert(property, { numRuns: 1000 });
});
