/** What a row must look like to enter the map. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SqlValue } from "@patina/base";
import { judgePlacement, judgeRegion, type PlacementRow, type RegionRow } from "./rows.js";

const placement: PlacementRow = { app: "web", region: "iad", class: "serving", epoch: 3n, hlc: 7n };
const region: RegionRow = {
  region: "iad",
  generation: 3n,
  heartbeatMs: 1_700_000_000_000n,
  apps: 2n,
  apis: '["http://10.0.0.1:8080","https://[fdaa::1]:443/patina"]',
  location: '{"lat":38.9,"lon":-77.4}',
};

test("a good row says what it says", () => {
  expect(judgePlacement(placement)).toEqual({
    good: { region: "iad", class: "serving", generation: 3, highWater: 7n },
  });
  expect(judgeRegion(region)).toEqual({
    good: {
      region: "iad",
      generation: 3,
      heartbeatMs: 1_700_000_000_000,
      apps: 2,
      apis: ["http://10.0.0.1:8080", "https://[fdaa::1]:443/patina"],
      location: { lat: 38.9, lon: -77.4 },
    },
  });
  expect(judgeRegion({ ...region, location: "" })).not.toHaveProperty("good.location");
});

describe("a bad one is named", () => {
  test.each<[Partial<PlacementRow>, string]>([
    [{ app: "" }, "name"],
    [{ app: "a".repeat(256) }, "name"],
    [{ app: "web\n" }, "name"],
    [{ app: 7n }, "name"],
    [{ region: "IAD" }, "region"],
    [{ class: "gone" }, "class"],
    [{ epoch: 0n }, "generation"],
    [{ epoch: 1n << 60n }, "generation"],
    [{ hlc: -1n }, "high-water"],
    [{ hlc: 1.5 }, "high-water"],
  ])("%o", (part, word) => {
    expect(judgePlacement({ ...placement, ...part })).toMatchObject({ bad: expect.stringContaining(word) });
  });

  test.each<[Partial<RegionRow>, string]>([
    [{ region: "" }, "region"],
    [{ generation: null }, "generation"],
    [{ heartbeatMs: "never" }, "heartbeat"],
    [{ apps: -1n }, "apps"],
    [{ apis: "not json" }, "agents"],
    [{ apis: "{}" }, "agents"],
    [{ apis: '["javascript:alert(1)"]' }, "agents"],
    [{ apis: '["http://user:secret@host"]' }, "agents"],
    [{ apis: JSON.stringify(Array(65).fill("http://a")) }, "agents"],
    [{ location: '{"lat":91,"lon":0}' }, "location"],
    [{ location: '{"lat":"1"}' }, "location"],
  ])("%o", (part, word) => {
    expect(judgeRegion({ ...region, ...part })).toMatchObject({ bad: expect.stringContaining(word) });
  });
});

test("whatever is in a row, judging it throws nothing", () => {
  const value: fc.Arbitrary<SqlValue> = fc.oneof(
    fc.constant(null),
    fc.bigInt(-(1n << 63n), (1n << 63n) - 1n),
    fc.double(),
    fc.string(),
    fc.json(),
    fc.uint8Array(),
  );
  const property = fc.property(fc.array(value, { minLength: 5, maxLength: 5 }), (values) => {
    const [a = null, b = null, c = null, d = null, e = null] = values;
    judgePlacement({ app: a, region: b, class: c, epoch: d, hlc: e });
    judgeRegion({ region: a, generation: b, heartbeatMs: c, apis: d, location: e, apps: a });
  });
  fc.assert(property, { numRuns: 500 });
});
