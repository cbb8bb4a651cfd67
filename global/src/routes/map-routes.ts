/**
 * What is kept out of the map, and what is switched off at this router:
 *
 *   GET  /v1/map/quarantine          rows that make no sense, or over which the process ended, and why
 *   POST /v1/map/quarantine/retry    takes them again
 *   GET  /v1/switches                PUT /v1/switches {tables, origins, features}: at once, and over a restart
 */
import { jsonBody } from "@patina/api";
import type { Rib } from "@patina/router";
import type { Hono } from "hono";
import type { Reloads } from "../rib/reloads.js";
import { parseSwitches, type RibFiles } from "../rib/rib-files.js";

export interface MapParts {
  readonly rib: Rib;
  readonly reloads: Reloads;
  readonly files: RibFiles;
}

export function addMapRoutes(app: Hono, { rib, reloads, files }: MapParts): void {
  app.get("/v1/map/quarantine", (c) => c.json({ rows: rib.quarantine.list().map(toDocument) }));
  app.post("/v1/map/quarantine/retry", async (c) => {
    const before = rib.quarantine.size;
    rib.quarantine.acquit();
    await reloads.again();
    files.saveQuarantine();
    const { size } = rib.quarantine;
    return c.json({ applied: Math.max(0, before - size), remaining: size }); // Others may have gone aside meanwhile.
  });
  app.get("/v1/switches", (c) => c.json(files.switches));
  app.put("/v1/switches", async (c) => {
    await files.switch(parseSwitches(await jsonBody(c)));
    return c.json(files.switches);
  });
}

export function toDocument(row: ReturnType<Rib["quarantine"]["list"]>[number]): Readonly<Record<string, unknown>> {
  const { table, app, region, reason, origin, sinceMs, lastGood } = row;
  return {
    table,
    app: app ?? null,
    region,
    reason,
    origin,
    since_ms: sinceMs,
    serves_last_good: lastGood !== undefined,
  };
}
