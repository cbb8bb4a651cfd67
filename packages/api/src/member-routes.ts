/** Who is in the cluster, and giving up a member that will not come back. */
import { AppError } from "@patina/base";
import type { Hono } from "hono";
import type { AgentPort } from "./ports.js";

export function addMemberRoutes(app: Hono, agent: AgentPort): void {
  app.get("/v1/members", (c) => c.json({ cluster: agent.cluster, self: agent.self(), members: agent.members() }));

  // What it held up, e.g. forgetting the deleted, goes on without it. Should it come back, it starts over by itself.
  app.post("/v1/members/:node/evict", async (c) => {
    const node = c.req.param("node");
    const isUp = agent.members().some(({ nodeId, state }) => nodeId === node && state === "alive");
    if (isUp || node === agent.nodeId) {
      throw new AppError("bad-request", `member ${node} is alive`, {
        hint: "Stop it first: only what is gone is evicted.",
      });
    }
    const write = agent.eviction(node);
    if (write === undefined) {
      throw new AppError("member-unknown", `there is no member ${node} to evict`, { hint: "See /v1/members." });
    }
    const outcome = await agent.write({ kind: "rows", rows: [write] });
    if (!outcome.ok) throw outcome.error;
    return c.json({ evicted: node });
  });
}
