/** Whether a fleet has come to rest, and whether what it then says is true: digests, and index against detail. */
import { PatinaClient } from "@patina/api/client";
import type { Fleet, FleetAgent } from "./fleet-file.js";
import { whatLasts } from "./lasting.js";

interface Digest {
  readonly digest: string;
  readonly gaps: number;
  readonly quarantined: number;
}

export interface AgentDigest {
  readonly agent: string;
  readonly cluster: string;
  /** Undefined when it did not answer. */
  readonly digest: string | undefined;
  readonly gaps: number;
  readonly quarantined: number;
}

export async function digestsOf(cluster: string, agents: readonly FleetAgent[]): Promise<AgentDigest[]> {
  return Promise.all(
    agents.map(async ({ name, api }) => {
      const client = new PatinaClient(api, { timeoutMs: 3000 });
      const report = await client.request<Digest>("/v1/digest").catch(() => undefined);
      const { gaps = 0, quarantined = 0 } = report ?? {};
      return { agent: name, cluster, digest: report?.digest, gaps, quarantined };
    }),
  );
}

export function isEqual(digests: readonly AgentDigest[]): boolean {
  const [first] = digests;
  return first?.digest !== undefined && digests.every(({ digest }) => digest === first.digest);
}

export interface IndexCheck {
  readonly apps: number;
  /** Regions that answered: of no other is anything said. */
  readonly answered: readonly string[];
  /** `app@region` of the index that the region does not have, and the other way round. */
  readonly ghosts: readonly string[];
  readonly missing: readonly string[];
}

interface AppsPage {
  readonly apps: readonly {
    readonly app: string;
    readonly regions: readonly { readonly region: string; readonly class: string }[];
  }[];
  readonly next: string | null;
}

/** Compares what a router's map says with what each region says of itself. Regions that do not answer are left out. */
export async function checkIndex(fleet: Fleet, router: PatinaClient): Promise<IndexCheck> {
  const detail = new Set<string>();
  const answered = new Set<string>();
  for (const [region, agents] of Object.entries(fleet.regions)) {
    for (const { api } of agents) {
      const client = new PatinaClient(api, { timeoutMs: 3000 });
      const document = await client
        .request<{ apps: { app: string; class: string }[] }>("/v1/apps")
        .catch(() => undefined);
      if (document === undefined) continue;
      answered.add(region);
      for (const { app, class: cls } of document.apps) detail.add(`${app}@${region}:${cls}`);
      break;
    }
  }
  const index = new Set<string>();
  let apps = 0;
  for (let after: string | null = ""; after !== null;) {
    const page: AppsPage = await router.request<AppsPage>(`/v1/apps?after=${encodeURIComponent(after)}`);
    for (const { app, regions } of page.apps) {
      apps++;
      for (const { region, class: cls } of regions) if (answered.has(region)) index.add(`${app}@${region}:${cls}`);
    }
    after = page.next;
  }
  return {
    apps,
    answered: [...answered],
    ghosts: [...index].filter((entry) => !detail.has(entry)),
    missing: [...detail].filter((entry) => !index.has(entry)),
  };
}

/** The errors of the index that lasted `withinMs`: a region's changes are on their way to it, and a withdrawal is held down. */
export async function lastingErrors(fleet: Fleet, router: PatinaClient, withinMs: number): Promise<IndexCheck> {
  const look = (): Promise<IndexCheck> => checkIndex(fleet, router);
  return whatLasts({ look, both: errorsOfBoth, isDone: isTrue }, withinMs);
}

export function isTrue({ ghosts, missing }: IndexCheck): boolean {
  return ghosts.length + missing.length === 0;
}

function errorsOfBoth(before: IndexCheck, now: IndexCheck): IndexCheck {
  const bothOf = (was: readonly string[], is: readonly string[]): string[] => {
    const found = new Set(is);
    return was.filter((entry) => found.has(entry) || !now.answered.includes(regionOf(entry)));
  };
  return { ...now, ghosts: bothOf(before.ghosts, now.ghosts), missing: bothOf(before.missing, now.missing) };
}

/** Of `app@region:class`. An app's name may have any of these signs, a region's none. */
function regionOf(entry: string): string {
  return entry.slice(entry.lastIndexOf("@") + 1, entry.lastIndexOf(":"));
}

const POLL_MS = 250;

/** Asks again and again; false when it never came true in time. */
export async function waitUntil(holds: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += POLL_MS) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

/** Waits until every cluster is equal and the index is true; says what is not when time is up. */
export async function settle(fleet: Fleet, router: PatinaClient, withinMs: number): Promise<string | undefined> {
  let wrong: string | undefined = "never looked";
  await waitUntil(async () => (wrong = await unsettled(fleet, router)) === undefined, withinMs);
  return wrong;
}

async function unsettled(fleet: Fleet, router: PatinaClient): Promise<string | undefined> {
  for (const [cluster, agents] of [...Object.entries(fleet.regions), ["global", fleet.global] as const]) {
    const digests = await digestsOf(cluster, agents);
    if (!isEqual(digests)) return `${cluster}: the agents' digests differ`;
  }
  const index = await checkIndex(fleet, router);
  if (isTrue(index)) return undefined;
  const { ghosts, missing } = index;
  return `the index has ${ghosts.length} ghosts and lacks ${missing.length} rows, e.g. ${ghosts[0] ?? missing[0]}`;
}
