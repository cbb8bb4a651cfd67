/** The routes that every agent has, described. */
import { z } from "zod";
import { statement, transaction } from "../statement.js";
import type { Operations } from "./document.js";

const NDJSON = "application/x-ndjson";
const bucket = z.object({ table: z.string(), bucket: z.number().int() });

export const agentOperations: Operations = {
  "GET /v1/openapi.json": { summary: "This document." },
  "POST /v1/transactions": { summary: "Statements that write, in one transaction.", body: transaction },
  "POST /v1/queries": {
    summary: "A statement that reads: its columns, rows and end, an event a line.",
    body: statement,
    query: { timeout: "Seconds after which it is given up." },
    gives: NDJSON,
  },
  "POST /v1/subscriptions": {
    summary: "A statement that reads, and then whatever changes in its answer.",
    body: statement,
    query: { from: "The last change id that was seen.", skip_rows: "true: changes only." },
    gives: NDJSON,
  },
  "GET /v1/subscriptions/:id": {
    summary: "A subscription that is there already.",
    query: { from: "The last change id that was seen.", skip_rows: "true: changes only." },
    gives: NDJSON,
  },
  "GET /v1/tables/:table/rows": { summary: "One object, by its primary key: a parameter a column." },
  "PUT /v1/tables/:table/rows": { summary: "Whole objects: one, a list, or NDJSON in any number.", takes: NDJSON },
  "DELETE /v1/tables/:table/rows": { summary: "Objects by their keys, likewise.", takes: NDJSON },
  "GET /v1/tables/:table/buckets/:bucket": { summary: "The rows of one bucket of the digest." },
  "GET /v1/digest": { summary: "What this agent holds, as digests.", query: { buckets: "Those of this table, too." } },
  "GET /v1/members": { summary: "The cluster's members, as this agent sees them." },
  "POST /v1/members/:node/evict": { summary: "Gives a member up for good." },
  "GET /v1/schema": { summary: "The schema in force." },
  "POST /v1/schema": {
    summary: "Another schema, applied here and adopted everywhere.",
    takes: "application/json",
    query: { plan: "true: says what would change, and changes nothing." },
  },
  "POST /v1/schema/drops": { summary: "Drops what is ignored everywhere.", takes: "application/json" },
  "GET /v1/quarantine": {
    summary: "Changes that could not be applied, and why.",
    query: { limit: "Up to 1000; 100 when left out.", after: "`next` of the page before." },
  },
  "POST /v1/quarantine/retry": { summary: "Tries to apply them again." },
  "POST /v1/quarantine/discards": {
    summary: "Gives one of them up: it says nothing any more, here and to those who ask here.",
    takes: "application/json",
  },
  "POST /v1/scrubs": { summary: "Recomputes every digest from the tables." },
  "POST /v1/repairs": { summary: "Puts a bucket right from the other members.", body: bucket },
  "GET /v1/handoffs": { summary: "Rows whose ownership is in doubt." },
  "POST /v1/handoffs": { summary: "Hands a row to another worker, or claims it.", takes: "application/json" },
  "GET /v1/checkpoints": { summary: "The checkpoints of this cluster." },
  "POST /v1/checkpoints": { summary: "Takes a checkpoint now.", answers: { 201: "It is taken." } },
  "GET /v1/checkpoints/:id": { summary: "One checkpoint." },
  "POST /v1/checkpoints/:id/verify": {
    summary: "Whether it can be restored.",
    query: { data: "false: looks at the manifest alone." },
  },
  "POST /v1/checkpoints/:id/drill": {
    summary: "Restores it aside and compares it: proves that it comes back.",
    answers: { 201: "It does, and how long it took." },
  },
  "GET /v1/checkpoint-notes": { summary: "What the members know of checkpoints, without asking the object store." },
  "GET /v1/checkpoints/:id/beyond": { summary: "How many rows are newer than it." },
  "POST /v1/generation/check": { summary: "Looks now whether a newer generation was opened." },
  "GET /livez": { summary: "Whether it answers." },
  "GET /readyz": { summary: "Whether it is in step with the others.", answers: { 503: "It is not, and why." } },
  "GET /metrics": { summary: "Prometheus metrics.", gives: "text/plain" },
};
