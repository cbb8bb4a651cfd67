/** Where a local fleet's agents live and listen: directories, ports, configuration files. Nothing here runs anything. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { must } from "@patina/base";
import { stringify } from "smol-toml";
import { memberPathsIn } from "../tls/member-dir.js";
import type { Fleet, FleetAgent } from "./fleet-file.js";

export interface FleetShape {
  readonly dir: string;
  readonly regions: readonly string[];
  readonly agentsPerRegion: number;
  readonly globalAgents: number;
  /** The first of the ports; two an agent, then one for control, then one a global agent for the DNS. */
  readonly basePort: number;
  readonly holdDownMs: number | undefined;
  /** When agents look whether a checkpoint is due; their own default when left out. */
  readonly checkpointSchedule?: string;
  /** The object store's URL; a directory beside the agents' when left out. */
  readonly checkpoints?: string | undefined;
  /** When its checkpoints are signed or encrypted. */
  readonly checkpointKeyFile?: string | undefined;
}

export const DEFAULT_SHAPE = {
  regions: ["iad", "fra", "syd"],
  agentsPerRegion: 3,
  globalAgents: 3,
  basePort: 7100,
} as const;

export interface PlacedAgent extends FleetAgent {
  readonly role: "regional" | "global";
  readonly cluster: string;
  readonly gossip: string;
  readonly node_dir: string;
  readonly tls_dir: string;
  readonly config: string;
  readonly log: string;
  /** Where a global agent answers DNS. */
  readonly dns?: string;
}

export interface Layout {
  readonly dir: string;
  /** Where the global agents find the regions' authorities. */
  readonly bordersDir: string;
  readonly agents: readonly PlacedAgent[];
  readonly controlPort: number;
  readonly fleet: Fleet;
}

const HOST = "127.0.0.1";
const DNS_DOMAIN = "patina.internal";

export function layoutOf(shape: FleetShape): Layout {
  const dir = resolve(shape.dir);
  let port = shape.basePort;
  const place = (role: PlacedAgent["role"], cluster: string, count: number): PlacedAgent[] =>
    Array.from({ length: count }, (_, i) => {
      const home = join(dir, cluster, String(i + 1));
      const gossip = `${HOST}:${port++}`;
      return {
        role,
        cluster,
        name: `${cluster}-${i + 1}`,
        gossip,
        api: `http://${HOST}:${port++}`,
        node_dir: join(home, "node"),
        tls_dir: join(home, "tls"),
        config: join(home, "agent.toml"),
        log: join(home, "agent.log"),
      };
    });
  const global = place("global", "global", shape.globalAgents);
  const regions = shape.regions.map((region) => [region, place("regional", region, shape.agentsPerRegion)] as const);
  const controlPort = port++;
  const fleet: Fleet = {
    control: `http://${HOST}:${controlPort}`,
    checkpoints: shape.checkpoints ?? pathToFileURL(join(dir, "checkpoints")).href,
    ...(shape.checkpointKeyFile === undefined ? {} : { checkpoint_key_file: resolve(shape.checkpointKeyFile) }),
    regions: Object.fromEntries(regions),
    global,
  };
  const routers = global.map((agent) => ({ ...agent, dns: `${HOST}:${port++}` }));
  const agents = [...routers, ...regions.flatMap(([, placed]) => placed)];
  return { dir, bordersDir: join(dir, "global", "regions"), agents, controlPort, fleet };
}

/** Writes every agent's configuration, and `fleet.json` last: when it is there, all of it is. */
export function writeLayout(layout: Layout, { holdDownMs, checkpointSchedule: schedule }: FleetShape): void {
  const globalApis = layout.fleet.global.map(({ api }) => api);
  for (const agent of layout.agents) {
    mkdirSync(join(agent.node_dir, ".."), { recursive: true });
    const peers = layout.agents.filter(({ cluster }) => cluster === agent.cluster);
    const { keyring, ...tls } = memberPathsIn(agent.tls_dir);
    const config = {
      node_dir: agent.node_dir,
      worker: agent.name,
      cluster: { name: agent.cluster },
      gossip: { address: agent.gossip, seeds: peers.map(({ gossip }) => gossip), keyring, tls },
      api: { address: agent.api.replace("http://", "") },
      checkpoint: {
        store: must(layout.fleet.checkpoints, "a checkpoint store"),
        ...(schedule === undefined ? {} : { schedule }),
        ...(layout.fleet.checkpoint_key_file === undefined ? {} : { key_file: layout.fleet.checkpoint_key_file }),
      },
      query: { readers: 1 },
      ...(agent.role === "regional"
        ? { global: { apis: globalApis } }
        : {
            borders: { authorities: layout.bordersDir },
            dns: { address: must(agent.dns, "an address"), domain: DNS_DOMAIN },
          }),
      ...(agent.role === "regional" && holdDownMs !== undefined ? { summary: { hold_down_ms: holdDownMs } } : {}),
    };
    writeFileSync(agent.config, stringify(config));
  }
  const file = join(layout.dir, "fleet.json");
  writeFileSync(`${file}.new`, `${JSON.stringify(layout.fleet, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}
