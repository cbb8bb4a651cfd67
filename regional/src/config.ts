/** A regional agent's configuration: what every agent has, and where its border publishes. */
import { agentConfigSchema } from "@patina/process";
import { defaultSummaryConfig } from "@patina/summary";
import { z } from "zod";

export const regionalConfigSchema = agentConfigSchema.extend({
  /** Where the region is, in degrees: callers who ask for what is near them are sent here by it. */
  location: z.strictObject({ lat: z.number().min(-90).max(90), lon: z.number().min(-180).max(180) }).optional(),
  /** The global tier. Left out, the region stands alone and publishes nothing. */
  global: z.strictObject({ apis: z.array(z.url({ protocol: /^https?$/ })).default([]) }).prefault({}),
  summary: z
    .strictObject({
      /** How long an app must be gone before the world is told. */
      hold_down_ms: z.number().int().min(0).max(600_000).default(defaultSummaryConfig.holdDownMs),
    })
    .prefault({}),
});
