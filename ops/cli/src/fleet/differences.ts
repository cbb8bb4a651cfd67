/**
 * Where the copies of a cluster differ: table and bucket, by comparing the agents' sums. Copies that do not hold the same
 * versions may differ because something is under way: of them, only what lasts is told.
 */
import { PatinaClient } from "@patina/api/client";
import { must } from "@patina/base";
import type { FleetAgent } from "./fleet-file.js";
import { whatLasts } from "./lasting.js";

interface Report {
  readonly tables: Readonly<Record<string, string>>;
  readonly holdings: Readonly<Record<string, number>>;
  readonly gaps: number;
  readonly buckets?: Readonly<Record<string, string>>;
}

export interface DifferingBucket {
  readonly table: string;
  readonly bucket: number;
  /** By agent, the sum of the bucket's rows; null when it has none. */
  readonly sums: Readonly<Record<string, string | null>>;
}

export interface Differences {
  /** False when some agent lacked versions that another held: the difference may be no more than a lag. */
  readonly sameHoldings: boolean;
  readonly buckets: readonly DifferingBucket[];
}

const TIMEOUT_MS = 3000;

/**
 * No buckets when the copies are equal. A difference between agents that hold the same versions is told at once, any
 * other once it has lasted `withinMs`. Throws `agent-unreachable` when one of the agents does not answer.
 */
export async function lastingDifferences(agents: readonly FleetAgent[], withinMs: number): Promise<Differences> {
  const isDone = ({ buckets, sameHoldings }: Differences): boolean => sameHoldings || buckets.length === 0;
  return whatLasts({ look: () => differencesOf(agents), both: lastingOf, isDone }, withinMs);
}

function lastingOf(before: Differences, now: Differences): Differences {
  const known = new Set(before.buckets.map(nameOf));
  return { ...now, buckets: now.buckets.filter((each) => known.has(nameOf(each))) };
}

function nameOf({ table, bucket }: DifferingBucket): string {
  return `${table} ${bucket}`;
}

/** One look. */
async function differencesOf(agents: readonly FleetAgent[]): Promise<Differences> {
  const reports = await Promise.all(agents.map((agent) => reportOf(agent, "")));
  let sameHoldings = haveSameHoldings(reports);
  const tables = new Set(reports.flatMap((report) => Object.keys(report.tables)));
  const differing = [...tables].filter((table) => new Set(reports.map((report) => report.tables[table])).size > 1);
  const buckets: DifferingBucket[] = [];
  for (const table of differing.toSorted()) {
    // While a schema is being adopted, an agent may not have the table yet: it has no buckets of it.
    const detailed = await Promise.all(
      reports.map(async (report, i) => {
        const agent = must(agents[i], "an agent");
        return report.tables[table] === undefined ? report : reportOf(agent, `?buckets=${encodeURIComponent(table)}`);
      }),
    );
    sameHoldings &&= haveSameHoldings(detailed);
    buckets.push(...differingBuckets(table, agents, detailed));
  }
  return { sameHoldings, buckets };
}

async function reportOf({ api }: FleetAgent, query: string): Promise<Report> {
  return new PatinaClient(api, { timeoutMs: TIMEOUT_MS }).request<Report>(`/v1/digest${query}`);
}

function haveSameHoldings(reports: readonly Report[]): boolean {
  const texts = reports.map(({ holdings, gaps }) => JSON.stringify([Object.entries(holdings).sort(byName), gaps]));
  return new Set(texts).size === 1;
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
}

function differingBuckets(table: string, agents: readonly FleetAgent[], reports: readonly Report[]): DifferingBucket[] {
  const numbers = new Set(reports.flatMap(({ buckets = {} }) => Object.keys(buckets).map(Number)));
  return [...numbers]
    .sort((a, b) => a - b)
    .flatMap((bucket) => {
      const sums = agents.map(({ name }, i) => [name, reports[i]?.buckets?.[bucket] ?? null] as const);
      const isSame = new Set(sums.map(([, sum]) => sum)).size === 1;
      return isSame ? [] : [{ table, bucket, sums: Object.fromEntries(sums) }];
    });
}
