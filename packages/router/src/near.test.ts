/** How far a region is. */
import { expect, test } from "vitest";
import { distanceTo, type Location, rttRank } from "./near.js";

const PLACES: Readonly<Record<string, Location>> = {
  iad: { lat: 38.95, lon: -77.45 },
  fra: { lat: 50.03, lon: 8.57 },
  syd: { lat: -33.95, lon: 151.18 },
  nrt: { lat: 35.77, lon: 140.39 },
  lax: { lat: 33.94, lon: -118.4 },
};
const distance = (region: string, near?: string | Location) => distanceTo(region, near, (name) => PLACES[name]);

test("distances are those on a globe, also across the date line", () => {
  expect(distance("fra", "iad")).toBe(6500);
  expect(distance("lax", PLACES["nrt"])).toBe(8750);
  expect(distance("syd", { lat: -33.9, lon: 151.2 })).toBe(0);
});

test("the named region itself is nearest, and an unknown place farthest", () => {
  expect([distance("iad", "iad"), distance("mars", "iad"), distance("iad", "mars"), distance("iad")]).toEqual([
    -1,
    Infinity,
    Infinity,
    0,
  ]);
});

test("round trips within a factor of two are alike, and one never measured is last", () => {
  expect([0, 4, 5, 8, 9, 100, undefined].map(rttRank)).toEqual([0, 0, 1, 1, 2, 5, Infinity]);
});
