/**
 * Where the copies of a cluster differ: table and bucket, by comparing the agents' sums. Copies that do not hold the same
 * versions differ because something is under way; only among those that do is a difference damage or a bug.
 */
import { PatinaClient } from "@patina/api";
import type { FleetAgent } from "./fleet-file.js";

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
  /** False while some agent lacks versions that another holds: then nothing is compared. */
  readonly sameHoldings: boolean;
  readonly buckets: readonly DifferingBucket[];
}

const TIMEOUT_MS = 3000;

/** Throws `agent-unreachable` when one of the agents does not answer. */
export async function differencesOf(agents: readonly FleetAgent[]): Promise<Differences> {
  const reports = await reportsOf(agents, "");
  if (!haveSameHoldings(reports)) return { sameHoldings: false, buckets: [] };
  const tables = new Set(reports.flatMap((report) => Object.keys(report.tables)));
  const differing = [...tables].filter((table) => new Set(reports.map((report) => report.tables[table])).size > 1);
  const buckets: DifferingBucket[] = [];
  for (const table of differing.toSorted()) {
    const detailed = await reportsOf(agents, `?buckets=${encodeURIComponent(table)}`);
    // What was written since the first look would be taken for a difference.
    if (!haveSameHoldings(detailed)) return { sameHoldings: false, buckets };
    buckets.push(...differingBuckets(table, agents, detailed));
  }
  return { sameHoldings: true, buckets };
}

async function reportsOf(agents: readonly FleetAgent[], query: string): Promise<Report[]> {
  return Promise.all(
    agents.map(({ api }) => new PatinaClient(api, { timeoutMs: TIMEOUT_MS }).request<Report>(`/v1/digest${query}`)),
  );
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
