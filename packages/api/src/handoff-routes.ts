/**
 * Rows that change hands, of tables that name their owner's column.
 *
 *   POST /v1/handoffs   {"table", "key", "to"}: this agent's worker gives the row to another; {"table", "key", "claim": true}:
 *                       it takes the row over, whoever has it. A list of these is one transaction. `key` is a value, the
 *                       values in key order, or an object by column
 *   GET  /v1/handoffs   the worker this agent writes for, rows that two claim, and its own writes that were fenced
 */
import { AppError, type Handoff, type SqlValue, valueToJson } from "@patina/base";
import type { Hono } from "hono";
import { z } from "zod";
import { jsonBody } from "./json-body.js";
import type { AgentPort, OwnersPort } from "./ports.js";
import { toSqlValue } from "./statement.js";

const value = z.union([z.string(), z.number(), z.boolean()]);
const key = z.union([value.transform((one) => [one]), z.array(value).min(1), z.record(z.string(), value)]);
const row = { table: z.string().min(1), key };
const handoff = z.union([
  z.strictObject({ ...row, to: z.string().min(1, "name a worker") }),
  z.strictObject({ ...row, claim: z.literal(true) }),
]);
const handoffs = z.union([handoff.transform((one) => [one]), z.array(handoff).min(1, "send at least one")]);

export function addHandoffRoutes(app: Hono, agent: Pick<AgentPort, "origin" | "write">, owners: OwnersPort): void {
  app.get("/v1/handoffs", (c) => c.json(reportOf(owners)));
  app.post("/v1/handoffs", async (c) => {
    const parsed = handoffs.safeParse(await jsonBody(c));
    if (!parsed.success) {
      throw new AppError("bad-request", `the body is no hand-over: ${z.prettifyError(parsed.error)}`, {
        hint: 'Send {"table", "key", "to": "worker"} or {"table", "key", "claim": true}, or a list of these.',
      });
    }
    const outcome = await agent.write({ kind: "handoffs", handoffs: parsed.data.map(toHandoff) });
    if (!outcome.ok) throw outcome.error;
    const rows = outcome.rows.map(({ table, key: at }) => {
      const { owner = null, epoch = null } = owners.ownership(table, at) ?? {};
      return { table, key: at.map(valueToJson), owner, epoch };
    });
    return c.json({ rows, version: outcome.change?.version ?? null, actor_id: agent.origin });
  });
}

function toHandoff(it: z.infer<typeof handoff>): Handoff {
  return { table: it.table, key: toKey(it.key), to: "to" in it ? it.to : undefined };
}

function toKey(given: z.infer<typeof key>): readonly SqlValue[] | Record<string, SqlValue> {
  if (Array.isArray(given)) return given.map(toSqlValue);
  return Object.fromEntries(Object.entries(given).map(([column, it]) => [column, toSqlValue(it)]));
}

function reportOf(owners: OwnersPort): unknown {
  const { doubtful, fenced } = owners.conflicts();
  return {
    worker: owners.worker,
    counts: { doubtful: doubtful.length, fenced: fenced.length },
    doubtful: doubtful.map(({ table, key: at, epoch, owner, other }) => {
      return { table, key: at.map(valueToJson), epoch, owner: owner ?? null, other: other ?? null };
    }),
    fenced: fenced.map(({ table, key: at, version, owner, epoch }) => {
      return { table, key: at.map(valueToJson), version, owner: owner ?? null, epoch };
    }),
  };
}
