/** The forwarding map. */
import { describe, expect, test } from "vitest";
import { Fib, type Route } from "./fib.js";

const route = (region: string): Route => ({ region, class: "serving", generation: 1, highWater: 1n });

describe("the forwarding map", () => {
  test("gives an app's routes, and none for an app it does not know", () => {
    const fib = new Fib();
    fib.set("web", [route("iad"), route("fra")]);
    expect(fib.lookup("web").map(({ region }) => region)).toEqual(["iad", "fra"]);
    expect(fib.lookup("nowhere")).toEqual([]);
  });

  test("swaps an app's routes whole: a list once read never changes", () => {
    const fib = new Fib();
    const routes = [route("iad")];
    fib.set("web", routes);
    const read = fib.lookup("web");
    routes.push(route("fra"));
    fib.set("web", [route("syd")]);
    expect(read.map(({ region }) => region)).toEqual(["iad"]);
    expect(Object.isFrozen(read)).toBe(true);
    expect(fib.lookup("web").map(({ region }) => region)).toEqual(["syd"]);
  });

  test("forgets an app without routes", () => {
    const fib = new Fib();
    fib.set("web", [route("iad")]);
    fib.set("web", []);
    expect([fib.size, [...fib.apps()]]).toEqual([0, []]);
  });

  test("lists apps by prefix", () => {
    const fib = new Fib();
    for (const app of ["web-1", "db", "web-2"]) fib.set(app, [route("iad")]);
    expect([...fib.apps("web-")]).toEqual(["web-1", "web-2"]);
    expect(fib.size).toBe(3);
  });

  test("counts the apps of each region", () => {
    const fib = new Fib();
    fib.set("web", [route("iad"), route("fra")]);
    fib.set("db", [route("iad")]);
    fib.set("web", [route("fra")]);
    expect(["iad", "fra", "syd"].map((region) => fib.appsIn(region))).toEqual([1, 1, 0]);
    fib.set("db", []);
    expect(fib.appsIn("iad")).toBe(0);
  });

  test("refuses two routes of one region", () => {
    expect(() => new Fib().set("web", [route("iad"), route("iad")])).toThrow("one route per app and region");
  });
});
