/** A global agent's configuration: what every agent has, and whose word it takes for a region's. */
import { agentConfigSchema } from "@patina/process";
import { z } from "zod";

export const globalConfigSchema = agentConfigSchema.extend({
  /** Who may publish. Left out, nobody may; where members speak plaintext, everybody. */
  borders: z
    .strictObject({
      /** A directory with each region's authorities: its `ca.crt`, copied here as `<region>.crt`. Read again and again. */
      authorities: z.string().min(1).optional(),
    })
    .prefault({}),
});

export type GlobalConfig = z.infer<typeof globalConfigSchema>;
