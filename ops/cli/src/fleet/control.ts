/** The supervisor's own HTTP, on loopback: lets other commands stop and start agents of a running local fleet. */
import { agentsOfCluster, type Fleet } from "./fleet-file.js";
import { type HttpServer, problemResponse, serveApi } from "@patina/api";
import { Hono } from "hono";
import type { Supervisor } from "./supervisor.js";

export async function serveControl(supervisor: Supervisor, fleet: Fleet, port: number): Promise<HttpServer> {
  const app = new Hono();
  app.onError((thrown) => problemResponse(thrown));
  app.get("/agents", (c) => c.json({ agents: supervisor.states() }));
  app.post("/agents/:name/start", (c) => {
    supervisor.start(c.req.param("name"));
    return c.json({ ok: true });
  });
  app.post("/agents/:name/stop", async (c) => {
    await supervisor.stop(c.req.param("name"));
    return c.json({ ok: true });
  });
  app.post("/clusters/:cluster/stop", async (c) => {
    await Promise.all(agentsOfCluster(fleet, c.req.param("cluster")).map(({ name }) => supervisor.stop(name)));
    return c.json({ ok: true });
  });
  app.post("/clusters/:cluster/start", async (c) => {
    for (const { name } of agentsOfCluster(fleet, c.req.param("cluster"))) supervisor.start(name);
    await supervisor.ready();
    return c.json({ ok: true });
  });
  return serveApi(app, { host: "127.0.0.1", port });
}
