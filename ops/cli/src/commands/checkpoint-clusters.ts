/** Which clusters a checkpoint command is about, and what their members know of the checkpoints. */
import type { Command } from "commander";
import { AppError } from "@patina/base";
import type { PatinaClient } from "@patina/api/client";
import { agentsOf, type Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyRouter } from "../fleet/reach.js";
import { type CommonOptions, withCommon } from "./options.js";

export interface ClusterFlags extends CommonOptions {
  readonly region?: string;
  readonly global?: boolean;
}

/** As the members have it, outside the object store. */
export interface Noted {
  /** `base`, `d2`, `d1`, `d0`, or `verified`. */
  readonly level: string;
  readonly manifest: string;
  readonly atMs: number;
}

export function scoped(command: Command): Command {
  return withCommon(command)
    .option("--region <region>", "of this region (default: all of them)")
    .option("--global", "of the global tier");
}

export function clustersOf(fleet: Fleet, { region, global }: ClusterFlags): string[] {
  if (global === true) return ["global"];
  if (region === undefined) return Object.keys(fleet.regions);
  agentsOf(fleet, region);
  return [region];
}

export async function agentOf(fleet: Fleet, cluster: string): Promise<PatinaClient> {
  return cluster === "global" ? anyRouter(fleet) : anyIn(fleet, cluster);
}

/**
 * The checkpoints that the members know of and the store must have: the newest, the newest base, and the newest that was proved.
 * What is older than these may have been pruned. Ask before the store is listed: what is taken meanwhile is not lost.
 */
export function lasting(notes: readonly Noted[]): string[] {
  const taken = notes.filter(({ level }) => level !== "verified").toSorted((a, b) => a.atMs - b.atMs);
  const kept = notes.filter((it) => it === taken.at(-1) || it.level === "verified" || it.level === "base");
  return [...new Set(kept.map(({ manifest }) => manifest))];
}

/** Undefined when no member answers. */
export async function notesOf(fleet: Fleet, cluster: string): Promise<readonly Noted[] | undefined> {
  try {
    const client = await agentOf(fleet, cluster);
    return (await client.request<{ notes: Noted[] }>("/v1/checkpoint-notes")).notes;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "region-unreachable") return undefined;
    throw thrown;
  }
}
