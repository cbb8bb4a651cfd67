/** Options that several commands share, spelled once. */
import { type Command, Option } from "commander";
import { type Fleet, readFleet } from "../fleet/fleet-file.js";
import type { OutputFormat } from "../output.js";

export interface CommonOptions {
  readonly fleet?: string;
  readonly output: OutputFormat;
}

/** `--fleet FILE` and `-o table|json`. */
export function withCommon(command: Command): Command {
  return command
    .addOption(new Option("--fleet <file>", "fleet file (default: .patina/fleet.json)").env("PATINA_FLEET"))
    .addOption(new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"));
}

export function fleetOf({ fleet }: CommonOptions): Fleet {
  return readFleet(fleet);
}
