/**
 * How regions write the index. Every request is judged at the door: who signed it, whose rows they are, how many, and
 * whether they are from the future, or from before what is known. What is refused changes nothing, and is counted by its code.
 *
 *   POST /v1/placements            a border's rows        GET /v1/placements?region=R   what the index holds of a region,
 *                                                          a page at a time: after=APP; with the first page the stamps of
 *                                                          withdrawn rows: withdrawn=true
 *   POST /v1/regions/:region       a border's heartbeat   GET /v1/index                 how much was written here
 */
import { AppError, asAppError, type RowWrite } from "@patina/base";
import { jsonBody } from "@patina/api";
import type { AgentProcess } from "@patina/process";
import {
  Door,
  heartbeatWrite,
  lastHeartbeat,
  placementWrites,
  type Publication,
  type Refusal,
  REGION_NAME,
  type Rib,
} from "@patina/router";
import { systemNow } from "@patina/runtime";
import type { RouterMetrics } from "@patina/telemetry";
import type { Context, Hono } from "hono";
import { z } from "zod";
import type { Borders } from "../door/borders.js";
import { StoreRows } from "../rib/store-rows.js";
import { INDEX } from "../tier.js";

const regionName = z.string().regex(REGION_NAME);
const stamp = z.string().regex(/^\d{1,18}$/);
const generation = z.number().int().positive();

const publication = z.strictObject({
  region: regionName,
  generation,
  rows: z
    .array(
      z.strictObject({
        app: z
          .string()
          .min(1)
          .max(INDEX.appCharsMax)
          .regex(/^\P{Cc}*$/u),
        class: z.enum(["serving", "standby"]).nullable(),
        high_water: stamp,
      }),
    )
    .max(INDEX.rowsPerPublishMax),
});

const heartbeat = z.strictObject({
  generation,
  high_water: stamp,
  apis: z.array(z.url({ protocol: /^https?$/ }).max(512)).max(64),
  agents: z.number().int().nonnegative(),
  apps: z.number().int().nonnegative(),
  location: z.strictObject({ lat: z.number().min(-90).max(90), lon: z.number().min(-180).max(180) }).nullable(),
});

export interface IndexParts {
  readonly process: AgentProcess;
  readonly rib: Rib;
  readonly borders: Borders;
  readonly metrics: RouterMetrics;
}

export function addIndexRoutes(app: Hono, parts: IndexParts): void {
  const { process, metrics } = parts;
  const door = new Door();
  /** Rows of the index that borders changed through this agent since it started: each a transition, or a repair. */
  let rowsWritten = 0;
  const counted = async (work: () => Promise<Response>): Promise<Response> => {
    try {
      return await work();
    } catch (thrown) {
      metrics.onRefused(asAppError(thrown).code);
      throw thrown;
    }
  };
  app.get("/v1/index", (c) => c.json({ rows_written: rowsWritten }));

  app.post("/v1/placements", (c) =>
    counted(async () => {
      const holder = await parts.borders.holderOf(c);
      const { region, generation: epoch, rows } = await checkedBody(c, publication);
      const stamps = rows.map(({ high_water }) => BigInt(high_water));
      judge(parts, door, holder?.region, { region, generation: epoch, stamps });
      const written = await writeRows(
        process,
        placementWrites(
          region,
          epoch,
          rows.map(({ app: name, class: cls, high_water }) => {
            return { app: name, class: cls ?? undefined, highWater: BigInt(high_water) };
          }),
        ),
      );
      rowsWritten += written;
      return c.json({ written });
    }),
  );

  app.post("/v1/regions/:region", (c) =>
    counted(async () => {
      const holder = await parts.borders.holderOf(c);
      const region = regionIn(c);
      const beat = await checkedBody(c, heartbeat);
      const stamps = [BigInt(beat.high_water)];
      const sentMs = holder?.sentMs;
      judge(parts, door, holder?.region, { region, generation: beat.generation, stamps, sentMs });
      const { high_water: highWater, location, ...rest } = beat;
      const told = { ...rest, highWater: BigInt(highWater), location: location ?? undefined };
      const write = heartbeatWrite(region, told, sentMs, systemNow().wallMs);
      return c.json({ written: await writeRows(process, [write]) });
    }),
  );

  app.get("/v1/placements", (c) => {
    const region = c.req.query("region") ?? "";
    const after = c.req.query("after");
    const index = new StoreRows(process.store);
    const rows = index
      .placementsOf(region, after, INDEX.rowsPerPageMax)
      .map(({ app: name, class: cls, epoch, hlc }) => {
        return { app: name, class: cls, generation: Number(epoch), high_water: String(hlc) };
      });
    const next = rows.length < INDEX.rowsPerPageMax ? null : (rows.at(-1)?.app ?? null);
    if (c.req.query("withdrawn") !== "true" || after !== undefined) return c.json({ rows, next });
    const withdrawn = index.withdrawn(region).map(({ app: name, epoch, hlc }) => {
      return { app: name, generation: Number(epoch), high_water: String(hlc) };
    });
    return c.json({ rows, withdrawn, next });
  });
}

const HINTS: Partial<Record<Refusal["code"], string>> = {
  "request-late": "Is the clock of this agent behind those of the region's other agents?",
  "region-replaced":
    "Restart the agents of the old generation: they begin from the new one's checkpoint. Or end them for good.",
};

/** Throws the door's refusal. */
function judge({ process, rib }: IndexParts, door: Door, holder: string | undefined, what: Publication): void {
  const { region, sentMs } = what;
  // Only a heartbeat goes by the one before: rows have stamps of their own.
  const [row] = sentMs === undefined ? [] : new StoreRows(process.store).regions(region);
  const heartbeat = row && lastHeartbeat(row);
  const known = { generation: rib.regions.get(region)?.generation ?? 0, rows: rib.fib.appsIn(region), heartbeat };
  const refusal = door.judge(holder, what, known, systemNow());
  if (refusal === undefined) return;
  const hint = HINTS[refusal.code];
  throw new AppError(refusal.code, refusal.reason, hint === undefined ? {} : { hint });
}

async function writeRows(process: AgentProcess, rows: readonly RowWrite[]): Promise<number> {
  const outcome = await process.runtime.write({ kind: "rows", rows });
  if (!outcome.ok) throw outcome.error;
  return outcome.rows.length;
}

function regionIn(c: Context): string {
  const parsed = regionName.safeParse(c.req.param("region"));
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `${c.req.param("region")} is not a region's name`, {
    hint: "Use lower-case letters, digits and hyphens, up to 63.",
  });
}

async function checkedBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(await jsonBody(c));
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `the body is not what this route takes: ${z.prettifyError(parsed.error)}`, {
    hint: "Borders send this: are this router and the region's agents of one release?",
  });
}
