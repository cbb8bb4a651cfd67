/**
 * Whole objects beside SQL: `PUT /v1/tables/:table/rows` with one object or a list of them, `DELETE` with their keys. One
 * request is one transaction. An object that is there already, as it is, costs one read and makes no version.
 */
import { AppError, type RowWrite, type SqlValue } from "@patina/base";
import type { Context, Hono } from "hono";
import { z } from "zod";
import { jsonBody } from "./json-body.js";
import type { AgentPort } from "./ports.js";
import { toSqlValue } from "./statement.js";

const object = z.record(z.string(), z.unknown());
const objects = z.union([object.transform((one) => [one]), z.array(object).min(1, "send at least one object")]);

export function addObjectRoutes(app: Hono, agent: AgentPort): void {
  app.put("/v1/tables/:table/rows", (c) => write(c, agent, false));
  app.delete("/v1/tables/:table/rows", (c) => write(c, agent, true));
}

async function write(c: Context, agent: AgentPort, deleted: boolean): Promise<Response> {
  const table = c.req.param("table") ?? "";
  const parsed = objects.safeParse(await jsonBody(c));
  if (!parsed.success) {
    throw new AppError("bad-request", `the body is not what this route takes: ${z.prettifyError(parsed.error)}`, {
      hint: "Send one JSON object of column names and values, or a list of such objects.",
    });
  }
  const rows = parsed.data.map((values): RowWrite => ({ table, values: toValues(values), deleted }));
  const outcome = await agent.write({ kind: "rows", rows });
  if (!outcome.ok) throw outcome.error;
  return c.json({
    rows_changed: outcome.rows.length,
    version: outcome.change?.version ?? null,
    actor_id: agent.origin,
  });
}

function toValues(values: Readonly<Record<string, unknown>>): Record<string, SqlValue> {
  return Object.fromEntries(Object.entries(values).map(([column, value]) => [column, toSqlValue(value)]));
}
