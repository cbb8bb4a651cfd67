/**
 * Three agents of one region, as production runs them (data directory, store, maintenance thread, gossip on loopback),
 * in this process: one clock for all, and one thread, so that what is measured includes the work of all three.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { defaultAgentConfig, type Effect } from "@patina/agent";
import { AppError, must, type Write } from "@patina/base";
import { AgentRuntime, DataDir, Maintenance, newDbId, systemNow } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { CLUSTER } from "./databases.js";
import { freePort } from "./loopback.js";
import { MACHINES_SCHEMA } from "./machines.js";
import { within } from "./pacing.js";

const SIZE = 3;
const START_ATTEMPTS = 5;
const SETTLE_LIMIT_MS = 60_000;

interface Agent {
  readonly runtime: AgentRuntime;
  readonly address: string;
  stop(): Promise<void>;
}

export class Region {
  readonly #agents: Agent[] = [];
  /** Deliveries under way, by the row's `writes`, which no two changes share. */
  readonly #awaited = new Map<bigint, (seenMs: number) => void>();
  /** What is waited for across the agents, looked at after every step of any. */
  #settling: { readonly isDone: () => boolean; readonly resolve: () => void } | undefined;
  #sentBytes = 0;
  #bodyBytes = 0;

  /** Starts the agents and waits until each has a stream to every other. Throws with all of them stopped again. */
  static async start(dir: string): Promise<Region> {
    const region = new Region();
    try {
      for (let i = 0; i < SIZE; i++) region.#add(await startAgent(join(dir, `agent-${i}`), region.#addresses()));
      await region.#until(() => region.#agents.every(({ runtime }) => runtime.agent.reachable().length === SIZE - 1));
      return region;
    } catch (thrown) {
      await region.stop();
      throw thrown;
    }
  }

  /** Bytes handed to sockets by all agents since the start: changes, anti-entropy and membership. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Bytes of the rows written since the start, as they are put on the wire: without a frame's or a change's header. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** One durable write on the first agent. Throws what the agent refuses it with. */
  async write(write: Write): Promise<void> {
    const outcome = await this.#agent(0).runtime.write(write);
    if (!outcome.ok) throw outcome.error;
    if (outcome.change !== undefined) this.#bodyBytes += outcome.change.body.length;
  }

  /** The same; resolves with the time at which the last agent had told of the row and could read it. */
  async deliver(write: Write, writes: bigint): Promise<number> {
    const seen = new Promise<number>((resolve) => this.#awaited.set(writes, resolve));
    await this.write(write);
    return seen;
  }

  /** Waits until every agent holds everything. */
  async settle(): Promise<void> {
    const { store } = this.#agent(0).runtime;
    const head = store.holdings().get(store.origin)?.head ?? 0;
    await this.#until(() =>
      this.#agents.every(({ runtime }) => {
        const holding = runtime.store.holdings().get(store.origin);
        return head === 0 || (holding?.head === head && holding.gaps.isEmpty);
      }),
    );
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents.splice(0).reverse()) await agent.stop();
  }

  #add(agent: Agent): void {
    this.#agents.push(agent);
    agent.runtime.observe((_, effects) => this.#onStep(effects));
    if (this.#agents.length < SIZE) return;
    const { runtime } = agent;
    runtime.onEvent((event) => {
      if (event.kind !== "changed" || event.source !== "remote") return;
      for (const { key } of event.rows) {
        const writes = runtime.store.read("SELECT writes FROM machines WHERE id = ?", key)[0]?.[0];
        if (typeof writes === "bigint") this.#onSeen(writes);
      }
    });
  }

  #onSeen(writes: bigint): void {
    this.#awaited.get(writes)?.(performance.now());
    this.#awaited.delete(writes);
  }

  #onStep(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === "send" || effect.kind === "datagram") this.#sentBytes += effect.bytes.length;
    }
    if (this.#settling?.isDone() === true) this.#settling.resolve();
  }

  async #until(isDone: () => boolean): Promise<void> {
    if (isDone()) return;
    const done = new Promise<void>((resolve) => (this.#settling = { isDone, resolve }));
    await within(SETTLE_LIMIT_MS, done, "three agents of one mind");
    this.#settling = undefined;
  }

  #addresses(): string[] {
    return this.#agents.map(({ address }) => address);
  }

  #agent(index: number): Agent {
    return must(this.#agents[index], "an agent");
  }
}

/** Another process may take the port between finding and binding it: then with another one. */
async function startAgent(path: string, seeds: readonly string[]): Promise<Agent> {
  for (let attempt = 1; ; attempt++) {
    const address = `127.0.0.1:${await freePort()}`;
    try {
      return await startAgentAt(path, address, seeds);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "port-in-use" || attempt === START_ATTEMPTS) throw thrown;
    }
  }
}

async function startAgentAt(path: string, address: string, seeds: readonly string[]): Promise<Agent> {
  mkdirSync(path, { recursive: true });
  const dataDir = new DataDir(path, systemNow().wallMs);
  const node = dataDir.identity.nodeId;
  const store = new SqliteStore({
    path: dataDir.databasePath,
    cluster: CLUSTER,
    node,
    newDbId,
    schemaSql: MACHINES_SCHEMA,
    walAutocheckpointPages: 0,
  });
  const maintenance = new Maintenance(dataDir.databasePath);
  const close = async (): Promise<void> => {
    await maintenance.close();
    store.close();
    dataDir.close();
  };
  try {
    const gossip = { address, advertise: address, seeds };
    const runtime = await AgentRuntime.start({
      dataDir,
      store,
      gossip,
      api: "http://127.0.0.1:0",
      config: defaultAgentConfig,
    });
    const stop = async (): Promise<void> => {
      await runtime.stop();
      await close();
    };
    return { runtime, address, stop };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
