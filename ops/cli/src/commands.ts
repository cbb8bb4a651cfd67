/**
 * The commands by their first word, each loaded when it is asked for: who lists members does not wait for an S3 client.
 * Without a word that is one of them, all are loaded: for the help, and to suggest what may have been meant.
 */
import type { Command } from "commander";

type Add = (program: Command) => void;

const sql = async (): Promise<Add> => (await import("./commands/sql.js")).addSql;
const handoff = async (): Promise<Add> => (await import("./commands/handoff.js")).addHandoff;
const region = async (): Promise<Add> => (await import("./commands/region.js")).addRegion;

/** In the order of the help. */
const COMMANDS: ReadonlyMap<string, () => Promise<Add>> = new Map([
  ["dev", async () => (await import("./commands/dev.js")).addDev],
  ["apps", async () => (await import("./commands/apps.js")).addApps],
  ["explain", async () => (await import("./commands/explain.js")).addExplain],
  ["query", sql],
  ["exec", sql],
  ["import", async () => (await import("./commands/import.js")).addImport],
  ["schema", async () => (await import("./commands/schema.js")).addSchema],
  ["members", async () => (await import("./commands/members.js")).addMembers],
  ["handoff", handoff],
  ["claim", handoff],
  ["verify", async () => (await import("./commands/verify.js")).addVerify],
  ["quarantine", async () => (await import("./commands/quarantine.js")).addQuarantine],
  ["switch", async () => (await import("./commands/switches.js")).addSwitch],
  ["checkpoint", async () => (await import("./commands/checkpoint.js")).addCheckpoint],
  ["region", region],
  ["global", region],
  ["salvage", async () => (await import("./commands/salvage.js")).addSalvage],
  ["tls", async () => (await import("./commands/tls.js")).addTls],
  ["tour", async () => (await import("./commands/tour.js")).addTour],
]);

/** What adds the command of this word, or all of them. */
export async function commandsFor(word: string | undefined): Promise<readonly Add[]> {
  const one = COMMANDS.get(word ?? "");
  const loads = one === undefined ? new Set(COMMANDS.values()) : [one];
  return Promise.all([...loads].map((load) => load()));
}
