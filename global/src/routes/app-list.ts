/**
 * `GET /v1/apps?limit=&after=`: the map, a page at a time, in the order of names. The map has them in the order of their
 * arrival, and is neither copied nor sorted for a page: it is walked once, and what may be on the page is kept.
 */
import { setImmediate } from "node:timers/promises";
import { AppError } from "@patina/base";
import type { Fib } from "@patina/router";
import type { Context, Hono } from "hono";
import { INDEX } from "../tier.js";

/** Names walked at a time, for a millisecond or two: there may be a million, and resolutions do not wait for a page. */
const NAMES_PER_TURN = 5000;

export function addAppList(app: Hono, fib: Fib): void {
  app.get("/v1/apps", async (c) => {
    const limit = limitOf(c);
    const names = await firstAfter(fib.apps(), c.req.query("after") ?? "", limit + 1);
    const page = names.slice(0, limit);
    const apps = page.map((name) => {
      return { app: name, regions: fib.lookup(name).map(({ region, class: cls }) => ({ region, class: cls })) };
    });
    return c.json({
      total: fib.size,
      apps: apps.filter(({ regions }) => regions.length > 0), // Without those that went while the others were walked.
      next: names.length > limit ? page.at(-1) : null,
    });
  });
}

/** The first `count` names after `after`. */
export async function firstAfter(names: Iterable<string>, after: string, count: number): Promise<readonly string[]> {
  const kept: string[] = [];
  /** No name from here on is among them. */
  let end: string | undefined;
  let walked = 0;
  for (const name of names) {
    if (++walked % NAMES_PER_TURN === 0) await setImmediate();
    if (name <= after || (end !== undefined && name >= end)) continue;
    kept.push(name);
    if (kept.length < 2 * count) continue;
    kept.sort().splice(count);
    end = kept.at(-1);
  }
  return kept.sort().slice(0, count);
}

function limitOf(c: Context): number {
  const limit = Number(c.req.query("limit") ?? INDEX.appsPerPageMax);
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= INDEX.appsPerPageMax) return limit;
  throw new AppError("bad-request", `limit=${c.req.query("limit")} is not a number from 1 to ${INDEX.appsPerPageMax}`, {
    hint: "Write ?limit=50; `next` of the answer is where the next page begins.",
  });
}
