/**
 * What the map needs beside the tables, kept in the data directory: the rows that are aside, the rows that are being taken
 * right now, and what is switched off.
 */
import { join } from "node:path";
import { AppError, messageOf } from "@patina/base";
import { FEATURES, NOTHING_OFF, Quarantine, type QuarantinedRow, type Switches, SWITCHES_MAX } from "@patina/router";
import type { Logger } from "@patina/telemetry";
import { z } from "zod";
import { Journal } from "./journal.js";
import { KeptFile } from "./kept-file.js";

const names = z.array(z.string().min(1).max(255)).max(SWITCHES_MAX).default([]);

export const switchesSchema = z.strictObject({
  tables: names,
  origins: names,
  features: z.array(z.enum(FEATURES)).max(SWITCHES_MAX).default([]),
}) satisfies z.ZodType<Switches>;

const route = z.object({
  region: z.string(),
  class: z.enum(["serving", "standby"]),
  generation: z.number(),
  highWater: z.string().transform(BigInt),
});
const regionState = z.object({
  region: z.string(),
  generation: z.number(),
  heartbeatMs: z.number(),
  apis: z.array(z.string()),
  apps: z.number().default(0),
  location: z.object({ lat: z.number(), lon: z.number() }).optional(),
});
const quarantineFile = z.object({
  rows: z.array(
    z.object({
      table: z.string(),
      app: z.string().optional(),
      region: z.string(),
      reason: z.string(),
      state: z.string(),
      origin: z.string(),
      sinceMs: z.number(),
      lastGood: z.union([route, regionState]).optional(),
    }),
  ),
  suspects: z.array(z.string()),
});

/** How often the switches are read again, and how long a change of the quarantine may wait for its file. */
const LOOK_EVERY_MS = 500;
const SAVE_AFTER_MS = 100;

export class RibFiles {
  readonly journal: Journal;
  readonly quarantine: Quarantine;
  readonly #log: Logger;
  readonly #quarantineFile: KeptFile<unknown>;
  readonly #switchesFile: KeptFile<Switches>;
  readonly #onSwitched = new Set<() => Promise<void>>();
  readonly #looking: NodeJS.Timeout;
  #saving: NodeJS.Timeout | undefined;
  #switches = NOTHING_OFF;
  /** Those who listen to the switches have followed. */
  #followed: Promise<unknown> = Promise.resolve();
  #complaint: string | undefined;

  constructor(dir: string, log: Logger) {
    this.#log = log;
    this.journal = new Journal(join(dir, "map-journal.json"));
    this.#quarantineFile = new KeptFile<unknown>(join(dir, "map-quarantine.json"), z.unknown());
    this.#switchesFile = new KeptFile<Switches>(join(dir, "switches.json"), switchesSchema);
    this.quarantine = this.#readQuarantine();
    this.#look();
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  get switches(): Switches {
    return this.#switches;
  }

  onSwitched(listener: () => Promise<void>): void {
    this.#onSwitched.add(listener);
  }

  /** Resolves once those who listen have followed. */
  async switch(switches: Switches): Promise<void> {
    this.#switchesFile.write(switches);
    await this.#adopt(switches);
  }

  /** Soon: rows go aside in bursts. */
  saveQuarantine(): void {
    this.#saving ??= setTimeout(() => this.#saveNow(), SAVE_AFTER_MS);
  }

  close(): void {
    clearInterval(this.#looking);
    if (this.#saving !== undefined) this.#saveNow();
    this.journal.close();
  }

  #saveNow(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    const rows = this.quarantine.list().map((row) => ({ ...row, lastGood: toPlain(row.lastGood) }));
    this.#quarantineFile.write({ rows, suspects: this.quarantine.suspects() });
  }

  /** Rows of one app that were being taken when the process ended are suspects from now on; of several, none is yet. */
  #readQuarantine(): Quarantine {
    const kept = quarantineFile.safeParse(this.#quarantineFile.readIfChanged({ rows: [], suspects: [] }));
    if (!kept.success) this.#log.error({ file: this.#quarantineFile.path }, "the rows put aside cannot be read again");
    const { rows, suspects } = kept.success ? kept.data : { rows: [], suspects: [] };
    const { interrupted } = this.journal;
    if (interrupted.length > 0)
      this.#log.error({ rows: interrupted.slice(0, 10) }, "the process ended while taking rows");
    const alone = new Set(interrupted.map(appOf)).size === 1 ? interrupted : [];
    const quarantine = new Quarantine(rows as readonly QuarantinedRow[], [...suspects, ...alone]);
    if (alone.length > 0) this.#saveSuspects(rows as readonly QuarantinedRow[], [...suspects, ...alone]);
    return quarantine;
  }

  /** At once: the next end of the process may be near. */
  #saveSuspects(rows: readonly QuarantinedRow[], suspects: readonly string[]): void {
    this.#quarantineFile.write({ rows: rows.map((row) => ({ ...row, lastGood: toPlain(row.lastGood) })), suspects });
  }

  #look(): void {
    const read = this.#readSwitches();
    // Not awaited: what it throws is a row's taking, over which the process is to end.
    if (read !== undefined) void this.#adopt(read);
  }

  /** Undefined while the file is as it was, or cannot be read. */
  #readSwitches(): Switches | undefined {
    try {
      const read = this.#switchesFile.readIfChanged(NOTHING_OFF);
      this.#complaint = undefined;
      return read;
    } catch (thrown) {
      const complaint = messageOf(thrown);
      if (complaint !== this.#complaint) this.#log.error({ complaint }, "the switches stay as they are");
      this.#complaint = complaint;
      return undefined;
    }
  }

  async #adopt(switches: Switches): Promise<void> {
    if (JSON.stringify(switches) !== JSON.stringify(this.#switches)) {
      this.#switches = switches;
      this.#log.warn({ switches }, "what is switched off has changed");
      this.#followed = Promise.all([...this.#onSwitched].map((listener) => listener()));
    }
    await this.#followed;
  }
}

/** Throws `bad-request`. */
export function parseSwitches(body: unknown): Switches {
  const parsed = switchesSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new AppError("bad-request", `these are no switches: ${z.prettifyError(parsed.error)}`, {
    hint: `Send {"tables": [], "origins": [], "features": []}; the features are ${FEATURES.join(", ")}.`,
  });
}

/** The table and app in a state's name. */
function appOf(state: string): string {
  return state.split(",").slice(0, 2).join(",");
}

function toPlain(state: QuarantinedRow["lastGood"]): unknown {
  return state !== undefined && "highWater" in state ? { ...state, highWater: String(state.highWater) } : state;
}
