/** An agent as production runs it (data directory, store, maintenance thread, gossip on loopback), in this thread. */
import { mkdirSync } from "node:fs";
import { type AgentConfig, defaultAgentConfig } from "@patina/agent";
import { AppError } from "@patina/base";
import { AgentRuntime, DataDir, Maintenance, newDbId, systemNow } from "@patina/runtime";
import { SqliteStore } from "@patina/store";
import { CLUSTER } from "./databases.js";
import { freePort } from "./loopback.js";
import { MACHINES_SCHEMA } from "./machines.js";

export interface BenchAgent {
  readonly runtime: AgentRuntime;
  readonly address: string;
  stop(): Promise<void>;
}

const START_ATTEMPTS = 5;

/** Another process may take the port between finding and binding it: then with another one. */
export async function startAgent(
  path: string,
  seeds: readonly string[],
  config: AgentConfig = defaultAgentConfig,
): Promise<BenchAgent> {
  for (let attempt = 1; ; attempt++) {
    const address = `127.0.0.1:${await freePort()}`;
    try {
      return await startAgentAt(path, address, seeds, config);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "port-in-use" || attempt === START_ATTEMPTS) throw thrown;
    }
  }
}

async function startAgentAt(
  path: string,
  address: string,
  seeds: readonly string[],
  config: AgentConfig,
): Promise<BenchAgent> {
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
      config,
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
