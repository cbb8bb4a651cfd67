/** Pages of the map, against the whole of it sorted. */
import { problemResponse } from "@patina/api";
import { Fib, type Route } from "@patina/router";
import fc from "fast-check";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { INDEX } from "../tier.js";
import { addAppList, firstAfter } from "./app-list.js";

test("a page has the first names after another, whatever the order they came in", async () => {
  const names = fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 60 });
  const property = fc.asyncProperty(
    names,
    fc.string({ maxLength: 2 }),
    fc.integer({ min: 1, max: 8 }),
    async (...asked) => {
      const [all, after, count] = asked;
      const sorted = all.filter((name) => name > after).sort();
      expect(await firstAfter(all, after, count)).toEqual(sorted.slice(0, count));
    },
  );
  await fc.assert(property);
});

const app = new Hono();
const fib = new Fib();
app.onError((thrown) => problemResponse(thrown));
addAppList(app, fib);
const route: Route = { region: "iad", class: "serving", generation: 1, highWater: 1n };
const page = async (query: string): Promise<unknown> => (await app.request(`/v1/apps?${query}`)).json();

test("pages follow one another to the end", async () => {
  for (const name of ["c", "a", "b"]) fib.set(name, [route]);
  const listed = (name: string): unknown => ({ app: name, regions: [{ region: "iad", class: "serving" }] });
  expect(await page("limit=2")).toEqual({ total: 3, apps: [listed("a"), listed("b")], next: "b" });
  expect(await page("limit=2&after=b")).toEqual({ total: 3, apps: [listed("c")], next: null });
});

test.each(["-1", "0", "2.5", "abc", "", `${INDEX.appsPerPageMax + 1}`])("limit=%s is refused", async (limit) => {
  expect(await page(`limit=${limit}`)).toMatchObject({ code: "bad-request", hint: expect.any(String) });
});
