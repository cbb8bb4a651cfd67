/**
 * The cluster's schema: what it is, what another would change, and applying it. `POST /v1/schema` takes the SQL text, or
 * `{"sql", "ignore": ["table.column", …]}`; with `?plan=true` it only says what would change. `POST /v1/schema/drops` erases
 * what an applied schema has hidden.
 */
import { AppError } from "@patina/base";
import type { Hono } from "hono";
import { z } from "zod";
import { jsonBody } from "./json-body.js";
import type { AgentPort } from "./ports.js";

const text = z.string().min(1, "the schema is empty");
const request = z.union([
  text.transform((sql) => ({ sql, ignore: [] as string[] })),
  z.strictObject({ sql: text, ignore: z.array(z.string()).default([]) }),
]);

const names = z.array(z.string()).min(1);

export function addSchemaRoutes(app: Hono, agent: AgentPort): void {
  app.get("/v1/schema", (c) => c.json(agent.schema()));
  app.post("/v1/schema", async (c) => {
    const parsed = request.safeParse(await jsonBody(c));
    if (!parsed.success) {
      throw new AppError("bad-request", `the body is no schema: ${z.prettifyError(parsed.error)}`, {
        hint: 'Send the SQL text as a JSON string, or {"sql": "…", "ignore": ["table.column"]}.',
      });
    }
    const { sql, ignore } = parsed.data;
    const { plan, version, write } = agent.planSchema(sql, ignore);
    const isApplied = write !== undefined && c.req.query("plan") !== "true";
    if (isApplied) {
      const outcome = await agent.write({ kind: "rows", rows: [write] });
      if (!outcome.ok) throw outcome.error;
    }
    return c.json({ plan, version, applied: isApplied, ...schemaOf(agent) });
  });
  app.post("/v1/schema/drops", async (c) => {
    const parsed = names.safeParse(await jsonBody(c));
    if (!parsed.success) {
      throw new AppError("bad-request", `the body names nothing to drop: ${z.prettifyError(parsed.error)}`, {
        hint: 'Send ["table.column", "table"]: what an applied schema has hidden.',
      });
    }
    const outcome = await agent.write({ kind: "rows", rows: [agent.planDrop(parsed.data)] });
    if (!outcome.ok) throw outcome.error;
    const version = agent.schema().history[0]?.version ?? 0;
    return c.json({ plan: { adds: [], removes: parsed.data }, version, applied: true, ...schemaOf(agent) });
  });
}

function schemaOf(agent: AgentPort): { readonly hash: string; readonly node: string } {
  return { hash: agent.schema().hash, node: agent.nodeId };
}
