/** A global agent's configuration: what every agent has, and whose word it takes for a region's. */
import { agentConfigSchema } from "@patina/process";
import { z } from "zod";

/** Its tables are those that regions publish to: they are no setting. */
export const globalConfigSchema = agentConfigSchema.omit({ schema: true }).extend({
  /** Who may publish. Left out, nobody may; where members speak plaintext, everybody. */
  borders: z
    .strictObject({
      /** A directory with each region's authorities: its `ca.crt`, copied here as `<region>.crt`. Read again and again. */
      authorities: z.string().min(1).optional(),
    })
    .prefault({}),
  /** Answers for apps in the DNS, when it is there. */
  dns: z
    .strictObject({
      /** UDP and TCP. */
      address: z.string().regex(/^(\[[^\]]+\]|[^:]+):\d{1,5}$/, "must be host:port"),
      /** `<app>.<domain>` and `<app>.<region>.<domain>` are answered. */
      domain: z
        .string()
        .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be lower-case labels without a dot at the end")
        .max(190),
      /** How long an answer may be remembered. Short: what it names may move. */
      ttl_seconds: z.number().int().min(0).max(3600).default(5),
      /** The column with an instance's `HOST` or `HOST:PORT`. */
      address_column: z.string().min(1).default("address"),
      /** Instances whose columns say otherwise are left out. */
      only: z.record(z.string(), z.string()).default({ state: "started" }),
    })
    .optional(),
});

export type GlobalConfig = z.infer<typeof globalConfigSchema>;
