/**
 * `fleet.json`: which agents a fleet has and where they are. `patina dev` writes it; every other command reads it. For a
 * fleet of your own, write one by hand with the same keys.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError, must } from "@patina/base";
import { z } from "zod";

const agent = z.object({
  name: z.string(),
  /** Its HTTP API. */
  api: z.url(),
  gossip: z.string().optional(),
  /** Its data directory, when it is on this machine: what a restore replaces. */
  node_dir: z.string().optional(),
  config: z.string().optional(),
});

const fleetSchema = z.object({
  /** The supervisor that can stop and start agents; absent when something else runs them. */
  control: z.url().optional(),
  checkpoints: z.string().optional(),
  /** When they are signed or encrypted; PATINA_CHECKPOINT_KEY_FILE goes before it. */
  checkpoint_key_file: z.string().optional(),
  regions: z.record(z.string(), z.array(agent).min(1)),
  global: z.array(agent),
});

export type FleetAgent = z.infer<typeof agent>;
export type Fleet = z.infer<typeof fleetSchema>;

/** What the global tier's cluster is called. */
export const GLOBAL_CLUSTER = "global";

export const DEFAULT_DIR = ".patina";

/** Throws `fleet-unknown` when there is none, and `config-invalid` when it cannot be read. */
export function readFleet(path: string = join(DEFAULT_DIR, "fleet.json")): Fleet {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new AppError("fleet-unknown", `there is no fleet at ${file}`, {
      hint: "Run `npm start` here first, or name a fleet file with --fleet.",
    });
  }
  const parsed = fleetSchema.safeParse(readJson(file));
  if (parsed.success) return parsed.data;
  throw new AppError("config-invalid", `${file} is not a fleet: ${z.prettifyError(parsed.error)}`);
}

/** The agents of a region. Throws `region-unknown` with the regions there are. */
export function agentsOf(fleet: Fleet, region: string): FleetAgent[] {
  const agents = Object.hasOwn(fleet.regions, region) ? fleet.regions[region] : undefined;
  if (agents !== undefined) return must(agents, "agents");
  throw new AppError("region-unknown", `there is no region ${region}`, {
    hint: `The regions are ${Object.keys(fleet.regions).join(", ")}.`,
  });
}

/** The agents of a region, or of the global tier by the name of its cluster. */
export function agentsOfCluster(fleet: Fleet, cluster: string): FleetAgent[] {
  return cluster === GLOBAL_CLUSTER ? fleet.global : agentsOf(fleet, cluster);
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (cause) {
    throw new AppError("config-invalid", `${file} is not JSON`, { cause });
  }
}
