/**
 * What is wrong with this agent's copy: changes it could not apply, and buckets whose rows are not what their digest says.
 *
 *   GET  /v1/quarantine?limit=&after=   the changes put aside, a page at a time
 *   POST /v1/quarantine/retry           tries them again
 *   POST /v1/quarantine/discards {origin, version}   gives one up
 *   POST /v1/scrubs                     recomputes every bucket from its rows; a finding names table and bucket
 *   GET  /v1/tables/:table/buckets/:n   one bucket's rows, for a peer's repair
 *   POST /v1/repairs {table, bucket}    puts a bucket right from a peer's copy
 */
import { AppError, hlcToMs } from "@patina/base";
import type { Context, Hono } from "hono";
import { z } from "zod";
import { jsonBody } from "./json-body.js";
import type { IntegrityPort } from "./ports.js";

const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;

export function addIntegrityRoutes(app: Hono, integrity: IntegrityPort): void {
  app.get("/v1/quarantine", (c) => {
    const limit = limitOf(c);
    const found = integrity.quarantined(cursorOf(c), limit);
    const last = found.at(-1);
    const changes = found.map(({ hlc, ...entry }) => ({ ...entry, written_ms: hlcToMs(hlc) }));
    const next = last === undefined || found.length < limit ? null : `${last.origin}:${last.version}`;
    return c.json({ changes, next });
  });
  app.post("/v1/quarantine/retry", async (c) => c.json(await integrity.retryQuarantined()));
  app.post("/v1/quarantine/discards", async (c) => {
    const change = checked(changeName, await jsonBody(c), NAMES_CHANGE);
    return c.json({ discarded: integrity.discardQuarantined(change) });
  });
  app.post("/v1/scrubs", async (c) => c.json({ findings: await integrity.scrub() }));
  app.get("/v1/tables/:table/buckets/:bucket", async (c) => {
    const asked = { table: c.req.param("table"), bucket: Number(c.req.param("bucket")) };
    const { table, bucket } = checked(bucketName, asked, NAMES_BUCKET);
    return c.json(await integrity.bucket(table, bucket));
  });
  app.post("/v1/repairs", async (c) => {
    const { table, bucket } = checked(bucketName, await jsonBody(c), NAMES_BUCKET);
    return c.json(await integrity.repair(table, bucket));
  });
}

const bucketName = z.strictObject({ table: z.string(), bucket: z.number().int().min(0).max(255) });

const NAMES_BUCKET: Naming = {
  what: "bucket",
  hint: 'Send {"table": "machines", "bucket": 17}, as `patina verify --scrub` names it.',
};

const changeName = z.strictObject({
  origin: z.string().regex(/^[0-9a-f]{48}$/),
  version: z.number().int().min(1),
});

const NAMES_CHANGE: Naming = {
  what: "change",
  hint: 'Send {"origin": "…", "version": 17}, as GET /v1/quarantine names it.',
};

interface Naming {
  readonly what: string;
  readonly hint: string;
}

function checked<T>(schema: z.ZodType<T>, body: unknown, { what, hint }: Naming): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `this names no ${what}: ${z.prettifyError(parsed.error)}`, { hint });
}

function limitOf(c: Context): number {
  const limit = Number(c.req.query("limit") ?? PAGE_DEFAULT);
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= PAGE_MAX) return limit;
  throw new AppError("bad-request", `limit=${c.req.query("limit")} is not a number from 1 to ${PAGE_MAX}`, {
    hint: `Write ?limit=${PAGE_DEFAULT}; \`next\` of the answer is where the next page begins.`,
  });
}

function cursorOf(c: Context): { origin: string; version: number } | undefined {
  const text = c.req.query("after");
  if (text === undefined) return undefined;
  const [, origin, version] = /^([0-9a-f]{48}):(\d{1,16})$/.exec(text) ?? [];
  if (origin !== undefined) return { origin, version: Number(version) };
  throw new AppError("bad-request", `after=${text} is not where a page ended`, {
    hint: "Send `next` of the page before as it came.",
  });
}
