/**
 * Writes a workload into a fleet the way its workers would: each machine through one agent of its region, always the
 * same one, in order; agents side by side; many statements a transaction.
 */
import { hash32, must } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import type { Fleet } from "../fleet/fleet-file.js";
import { type Instance, insertStatement, regionOfInstance } from "./instance.js";

const STATEMENTS_PER_TRANSACTION = 200;
const RETRY_AFTER_MS = 300;
const RETRIES_MAX = 100;

export interface Job {
  readonly region: string;
  readonly key: string;
  /** The statement, given the name of the worker that writes it. */
  readonly statement: (worker: string) => unknown;
}

export class Loader {
  readonly #agents: ReadonlyMap<string, readonly { readonly name: string; readonly client: PatinaClient }[]>;

  constructor(fleet: Fleet) {
    this.#agents = new Map(
      Object.entries(fleet.regions).map(([region, agents]) => {
        return [region, agents.map(({ name, api }) => ({ name, client: new PatinaClient(api) }))];
      }),
    );
  }

  /** Writes all jobs; resolves when every one is durable somewhere. `onWritten` hears of each batch. */
  async write(jobs: readonly Job[], onWritten: (count: number) => void = () => undefined): Promise<void> {
    const lanes = new Map<string, { client: PatinaClient; statements: unknown[] }>();
    for (const { region, key, statement } of jobs) {
      const agents = must(this.#agents.get(region), `region ${region}`);
      const { name, client } = must(agents[hash32(key) % agents.length], "an agent");
      let lane = lanes.get(name);
      if (lane === undefined) lanes.set(name, (lane = { client, statements: [] }));
      lane.statements.push(statement(name));
    }
    await Promise.all([...lanes.values()].map((lane) => writeLane(lane, onWritten)));
  }
}

/** Statements that make a machine be there, started. */
export function startJobs(instances: readonly Instance[], regions: readonly string[]): Job[] {
  const sizes = new Map<string, number>();
  for (const { app } of instances) sizes.set(app, (sizes.get(app) ?? 0) + 1);
  return instances.map((instance) => ({
    region: regionOfInstance(instance, must(sizes.get(instance.app), "a size"), regions),
    key: instance.id,
    statement: (worker) => insertStatement(instance, worker, "started"),
  }));
}

async function writeLane(
  { client, statements }: { client: PatinaClient; statements: unknown[] },
  onWritten: (count: number) => void,
) {
  for (let at = 0; at < statements.length; at += STATEMENTS_PER_TRANSACTION) {
    const batch = statements.slice(at, at + STATEMENTS_PER_TRANSACTION);
    await withRetries(() => client.transact(batch));
    onWritten(batch.length);
  }
}

/** The statements are idempotent, so an attempt whose answer was lost may be made again. */
async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (thrown) {
      if (attempt === RETRIES_MAX) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
    }
  }
}
