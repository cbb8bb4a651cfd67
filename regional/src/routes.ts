/** What a regional agent answers beside what every agent does: which apps are here, and an app's machines. */
import { AppError } from "@patina/base";
import { problemResponse } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import { Hono } from "hono";
import type { Border } from "./border.js";
import { Detail } from "./detail.js";

const INSTANCES_DEFAULT = 100;
const INSTANCES_MAX = 10_000;

export function regionalRoutes(process: AgentProcess, border: Border): Hono {
  const { name: region, generation } = process.store.cluster;
  const detail = new Detail(process.store);
  const app = new Hono();

  app.get("/v1/apps", (c) => c.json({ region, generation, apps: detail.apps() }));
  app.get("/v1/border", (c) => c.json({ region, generation, ...border.counts }));
  app.get("/v1/apps/:app/instances", (c) => {
    const name = c.req.param("app");
    const limit = Number(c.req.query("limit") ?? INSTANCES_DEFAULT);
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > INSTANCES_MAX) {
      throw new AppError("bad-request", `limit=${c.req.query("limit")} is not a number from 1 to ${INSTANCES_MAX}`);
    }
    const placement = detail.app(name);
    if (placement === undefined) {
      // The region is the authority on what is not here: the router takes this as an answer, with its generation.
      return problemResponse(new AppError("app-absent", `app ${name} is not in region ${region}`), {
        region,
        generation,
      });
    }
    return c.json({ region, generation, ...placement, machines: detail.instances(name, limit) });
  });
  return app;
}
