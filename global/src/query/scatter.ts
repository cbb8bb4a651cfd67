/**
 * One query in many regions at once: rows as they come, each with its region, and at the end who answered and who did not.
 * A region that is dead, late or different costs nobody else's rows.
 */
import { AppError, asAppError, messageOf } from "@patina/base";
import { errorOf, PatinaClient } from "@patina/api";

export interface Target {
  readonly region: string;
  /** Tried in turn until one begins to answer. */
  readonly apis: readonly string[];
}

export interface ScatterOptions {
  readonly targets: readonly Target[];
  /** As the client sent it. */
  readonly statement: unknown;
  readonly deadlineMs: number;
  /** Resolves once there is room for more. */
  readonly write: (event: unknown) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface Gathered {
  readonly answered: readonly string[];
  readonly missing: readonly { readonly region: string; readonly reason: string; readonly rows: number }[];
  /** What was wrong with the query itself, when no region could run it. */
  readonly error: AppError | undefined;
}

/** Of one region: agents that are tried. */
const ATTEMPTS_MAX = 3;

export async function scatter(options: ScatterOptions): Promise<Gathered> {
  const { targets, deadlineMs } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]);
  const gathering = new Gathering(options.write);
  const outcomes = await Promise.all(targets.map(async (target) => queryRegion(target, options, gathering, signal)));
  const missing = outcomes.flatMap((outcome) => outcome ?? []);
  const faults = missing.map(({ error }) => error).filter(({ code }) => code.startsWith("sql-"));
  return {
    answered: targets.filter((_, i) => outcomes[i] === undefined).map(({ region }) => region),
    missing: missing.map(({ region, error, rows }) => ({ region, reason: error.message, rows })),
    error: missing.length > 0 && faults.length === targets.length ? faults[0] : undefined,
  };
}

interface Failed {
  readonly region: string;
  readonly error: AppError;
  /** Rows that had been sent on by then. */
  readonly rows: number;
}

/** Undefined when the region has answered to the end. */
async function queryRegion(
  { region, apis }: Target,
  { statement, deadlineMs }: ScatterOptions,
  gathering: Gathering,
  signal: AbortSignal,
): Promise<Failed | undefined> {
  let error = new AppError("region-unreachable", "it has told nobody where to ask");
  for (const api of apis.slice(0, ATTEMPTS_MAX)) {
    const before = gathering.rowsOf(region);
    try {
      const path = `/v1/queries?timeout=${Math.max(1, Math.ceil(deadlineMs / 1000))}`;
      const events = new PatinaClient(api).events(path, { method: "POST", body: statement, timeoutMs: 0, signal });
      await gathering.take(region, events);
      return undefined;
    } catch (thrown) {
      const isLate = signal.aborted;
      error = isLate ? new AppError("sql-deadline", `no answer within ${deadlineMs} ms`) : asAppError(thrown);
      const rows = gathering.rowsOf(region);
      // Another agent would send the same rows again.
      if (isLate || rows > before || error.code !== "agent-unreachable") return { region, error, rows };
    }
  }
  return { region, error, rows: gathering.rowsOf(region) };
}

/** The rows of all regions as one stream: the columns of whoever comes first are everybody's. */
class Gathering {
  readonly #write: (event: unknown) => Promise<void>;
  readonly #rowsByRegion = new Map<string, number>();
  #columns: string | undefined;
  #rows = 0;

  constructor(write: (event: unknown) => Promise<void>) {
    this.#write = write;
  }

  rowsOf(region: string): number {
    return this.#rowsByRegion.get(region) ?? 0;
  }

  /** Throws what the region said was wrong, and when its columns are others. */
  async take(region: string, events: AsyncGenerator<Record<string, unknown>, void, void>): Promise<void> {
    let isWhole = false;
    for await (const { columns, row, eoq, error, ...more } of events) {
      if (error !== undefined) throw errorOf({ ...more, detail: error }, messageOf(error));
      if (columns !== undefined) await this.#onColumns(columns as readonly string[]);
      if (row !== undefined) await this.#onRow(region, (row as readonly [number, readonly unknown[]])[1]);
      isWhole ||= eoq !== undefined;
    }
    if (!isWhole) throw new AppError("agent-unreachable", "its answer was cut off");
  }

  async #onColumns(columns: readonly string[]): Promise<void> {
    const text = JSON.stringify(columns);
    if (this.#columns === undefined) {
      this.#columns = text;
      await this.#write({ columns: ["region", ...columns] });
    } else if (this.#columns !== text) throw new AppError("schema-conflict", `its columns are ${columns.join(", ")}`);
  }

  async #onRow(region: string, values: readonly unknown[]): Promise<void> {
    this.#rowsByRegion.set(region, this.rowsOf(region) + 1);
    await this.#write({ row: [++this.#rows, [region, ...values]] });
  }
}
