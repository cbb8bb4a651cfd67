/**
 * Queries across the regions, in the shape of `/v1/queries`:
 *
 *   POST /v1/queries?scope=all | region:iad | app:web    &timeout=SECONDS
 *
 * The first column is the region, and `eoq` names the regions that answered and those that did not, with the reason.
 */
import { AppError } from "@patina/base";
import type { Rib } from "@patina/router";
import { jsonBody, problemOf } from "@patina/api";
import { systemNow } from "@patina/runtime";
import type { Context, Hono } from "hono";
import { stream } from "hono/streaming";
import { scatter, type Target } from "../query/scatter.js";
import type { Resolver } from "../placement/resolver.js";

export interface QueryParts {
  readonly rib: Rib;
  readonly resolver: Resolver;
  readonly isOff: () => boolean;
}

const DEADLINE_MS = 10_000;
const DEADLINE_MS_MAX = 300_000;
/** Regions asked at once; a fleet has fewer. */
const REGIONS_MAX = 256;
/** Queries under way at once: each has a stream to every region. */
const QUERIES_MAX = 64;

export function addQueryRoutes(app: Hono, parts: QueryParts): void {
  let underWay = 0;
  app.post("/v1/queries", async (c, next) => {
    const scope = c.req.query("scope");
    if (scope === undefined) return next(); // Of this agent's own tables.
    if (parts.isOff()) {
      throw new AppError("switched-off", "queries across regions are switched off at this router", {
        hint: "Ask another router, or one region: POST /v1/queries at one of its agents.",
      });
    }
    const targets = targetsOf(parts, scope);
    const statement = await jsonBody(c);
    const deadlineMs = deadlineMsOf(c);
    const began = systemNow().monotonicMs;
    const gone = new AbortController();
    // Once all of it has been read, and in one step: who sends slowly holds no place, and a burst gets no more than there are.
    if (underWay >= QUERIES_MAX) {
      throw new AppError("too-many", `${QUERIES_MAX} queries across regions are under way`, {
        hint: "Ask again when one has ended, or ask another router.",
      });
    }
    underWay++;
    c.header("content-type", "application/x-ndjson");
    return stream(c, async (out) => {
      out.onAbort(() => gone.abort());
      const write = async (event: unknown): Promise<void> => {
        await out.write(`${JSON.stringify(event)}\n`);
      };
      try {
        const { error, answered, missing } = await scatter({
          targets,
          statement,
          deadlineMs,
          write,
          signal: gone.signal,
        });
        const { detail, code, hint } = problemOf(error);
        if (error !== undefined) return await write({ error: detail, code, hint });
        await write({ eoq: { time: (systemNow().monotonicMs - began) / 1000, answered, missing } });
      } finally {
        underWay--;
      }
    });
  });
}

/** Throws `bad-request`, `region-unknown` and `app-absent`. */
function targetsOf({ rib, resolver }: QueryParts, scope: string): Target[] {
  const toTarget = (region: string): Target => ({ region, apis: rib.regions.get(region)?.apis ?? [] });
  if (scope === "all") return [...rib.regions.keys()].sort().slice(0, REGIONS_MAX).map(toTarget);
  const [, kind, name] = /^(region|app):(.+)$/.exec(scope) ?? [];
  if (kind === "region" && name !== undefined) {
    if (rib.regions.has(name)) return [toTarget(name)];
    throw new AppError("region-unknown", `no region ${name} is known`, { hint: "GET /v1/regions lists them." });
  }
  if (kind === "app" && name !== undefined) {
    const { asks, unasked } = resolver.plan(name, {});
    const regions = [...asks, ...unasked.map(({ ask }) => ask)].map(({ region }) => region);
    if (regions.length > 0) return regions.map(toTarget);
    throw new AppError("app-absent", `no region is known to have app ${name}`);
  }
  throw new AppError("bad-request", `scope=${scope} is none`, { hint: "Write ?scope=all, region:NAME or app:NAME." });
}

function deadlineMsOf(c: Context): number {
  const text = c.req.query("timeout");
  const ms = text === undefined ? DEADLINE_MS : Number(text) * 1000;
  if (ms > 0 && ms <= DEADLINE_MS_MAX) return ms;
  throw new AppError("bad-request", `timeout=${text} is not a number of seconds up to ${DEADLINE_MS_MAX / 1000}`, {
    hint: `Write ?timeout=${DEADLINE_MS / 1000}.`,
  });
}
