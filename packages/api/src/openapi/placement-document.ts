/** A placement as HTTP says it, for those who read it in another language: the shape that `/v1/openapi.json` gives. */
import { z } from "zod";

const age = z
  .int()
  .min(0)
  .describe("Milliseconds, rounded up: what is said here was true so long ago. 0 of a region that has just said it.");

const placedRegion = z.strictObject({
  region: z.string(),
  class: z
    .enum(["serving", "standby"])
    .optional()
    .describe("As indexed; absent when only the region tells of the app."),
  grade: z.enum(["live", "fresh", "stale", "expired"]),
  ageMs: age,
  source: z.enum(["region", "kept", "index"]).describe("Who says so: the region now, the region before, or the index."),
  instances: z.array(z.record(z.string(), z.unknown())).describe("The region's rows; none from the index."),
  note: z.string().optional().describe("What a reader should know about this part of the answer."),
});

export const placementDocument = z.strictObject({
  app: z.string(),
  result: z.enum(["found", "absent", "unknown"]).describe("absent is proven; unknown is worth another try."),
  complete: z
    .boolean()
    .describe("Whether every region that may have the app has answered, or is known not to have it."),
  regions: z.array(placedRegion).describe("Those that answered first, and among them the nearest."),
  missing: z
    .array(z.strictObject({ region: z.string(), reason: z.string() }))
    .describe("Regions that did not answer for themselves. One may be in `regions` too, from the index."),
  hasWaited: z.boolean().optional().describe("With `wait`: whether a region that holds the write has answered."),
});
