/**
 * A member of the global tier that writes what no border would: a faulty release, or a stolen certificate. It speaks the
 * cluster's own protocol, so that what it writes reaches the others as their own rows do.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, type RowWrite } from "@patina/base";
import { AgentProcess, agentConfigSchema, readSchema } from "@patina/process";
import { authorityDirOf } from "../tls/fleet-security.js";
import { openAuthorityDir } from "../tls/authority-dir.js";
import { issueMember, memberPathsIn } from "../tls/member-dir.js";
import { freePorts, type TestFleet } from "./fleet.js";

export interface Rogue {
  readonly origin: string;
  readonly write: (row: RowWrite) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startRogue({ fleet, dir }: TestFleet): Promise<Rogue> {
  const home = mkdtempSync(join(tmpdir(), "patina-rogue-"));
  await issueMember(home, await openAuthorityDir(authorityDirOf(dir, "global")), { role: "global", days: 1 });
  const { keyring, ...tls } = memberPathsIn(home);
  const port = await freePorts(2);
  const seeds = fleet.layout.fleet.global.map(({ gossip }) => must(gossip, "an address"));
  const config = agentConfigSchema.parse({
    node_dir: join(home, "node"),
    cluster: { name: "global" },
    gossip: { address: `127.0.0.1:${port}`, seeds, keyring, tls },
    api: { address: `127.0.0.1:${port + 1}` },
    log: { level: "silent" },
  });
  const global = new URL(import.meta.resolve("@patina/global/package.json"));
  const schemaSql = readSchema(["010-placements", "020-regions"].map((name) => new URL(`schema/${name}.sql`, global)));
  const agent = await AgentProcess.start({
    config,
    tier: { role: "global", schemaSql },
    version: "rogue",
    onFatal: (error) => {
      throw error;
    },
  });
  return {
    origin: agent.store.origin,
    write: async (row) => {
      const outcome = await agent.runtime.write({ kind: "rows", rows: [row] });
      if (!outcome.ok) throw outcome.error;
    },
    stop: async () => {
      await agent.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
