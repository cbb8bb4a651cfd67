/** Wrong clocks: what is stamped ahead waits, what was already taken in counts, and somebody is told. */
import { hlcFromMs } from "@patina/base";
import { beforeEach, describe, expect, test } from "vitest";
import { expectEqual } from "./testing/expect-equal.js";
import { originOf } from "./testing/model-store.js";
import { Net, WALL_MS } from "./testing/net.js";

let net: Net;
beforeEach(() => {
  net = new Net();
});

describe("clocks", () => {
  test("what a fast clock stamped waits until it is due, and drags nobody along", () => {
    const [a, b] = [net.add(1), net.add(2)];
    net.aheadMs.set("10.0.0.2:1", 20_000);
    net.run(3000);
    net.put(2, 1, "fast", "v");
    net.put(1, 1, "right", "v");
    net.run(5000);
    expect([...a.store.rows.keys()]).toEqual(["right"]);
    expect(a.store.highWater()).toBeLessThan(hlcFromMs(WALL_MS + net.nowMs + 1));
    net.run(15_000);
    expect([...a.store.rows.keys()].sort()).toEqual(["fast", "right"]);
    expectEqual(a.store, b.store);
    expect(a.events.some(({ kind }) => kind === "clock-ahead")).toBe(false);
  });

  test("a clock that is an hour ahead is reported once", () => {
    const a = net.add(1);
    net.add(2);
    net.aheadMs.set("10.0.0.2:1", 3_600_000);
    net.run(3000);
    for (let i = 0; i < 5; i++) net.put(2, i, `k${i}`, "v");
    net.run(30_000);
    expect(a.events.filter(({ kind }) => kind === "clock-ahead")).toMatchObject([{ origin: originOf(2) }]);
    expect(a.store.rows.size).toBe(0);
  });

  test("a cluster whose clocks are all set back an hour goes on at once", () => {
    const hosts = [net.add(1), net.add(2)];
    net.run(3000);
    net.put(1, 1, "before", "v");
    net.run(1000);
    for (const address of net.hosts.keys()) net.aheadMs.set(address, -3_600_000);
    net.put(1, 2, "k", "after");
    net.put(2, 2, "before", "again");
    net.run(1000);
    expectEqual(...hosts.map(({ store }) => store));
    expect(hosts[0]?.store.rows.get("before")?.text).toBe("again");
  });
});
