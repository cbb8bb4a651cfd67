/** The parts of a global agent, put together: the map from the tables, the router over it, the door for the borders. */
import { messageOf } from "@patina/base";
import type { AgentProcess } from "@patina/process";
import { gradesOf, Rib } from "@patina/router";
import { systemNow } from "@patina/runtime";
import { type Logger, RouterMetrics } from "@patina/telemetry";
import { Hono } from "hono";
import type { GlobalConfig } from "./config.js";
import { DnsServer } from "./dns/dns-server.js";
import { Borders } from "./door/borders.js";
import { Doubts } from "./regions/doubts.js";
import { directPlacement } from "./placement/placement-route.js";
import { Resolver } from "./placement/resolver.js";
import { Reloads } from "./rib/reloads.js";
import { RibFiles } from "./rib/rib-files.js";
import { StoreRows } from "./rib/store-rows.js";
import { addIndexRoutes } from "./routes/index-routes.js";
import { addMapRoutes } from "./routes/map-routes.js";
import { addQueryRoutes } from "./routes/query-routes.js";
import { addRouterRoutes } from "./routes/router-routes.js";
import { addWatchRoutes } from "./routes/watch-routes.js";
import { watchSocket } from "./routes/watch-socket.js";
import { Watches } from "./watch/watches.js";

/** Addresses in one answer: more would not fit in a datagram, and nobody tries more. */
const DNS_RECORDS_MAX = 16;

interface DnsParts {
  readonly rib: Rib;
  readonly resolver: Resolver;
  readonly files: RibFiles;
  readonly log: Logger;
}

export class GlobalTier {
  readonly #closing: (() => Promise<void> | void)[] = [];
  #reloads: Reloads | undefined;

  private constructor() {}

  /** Serves. The agent is this one's to stop from now on, also when it throws `config-invalid` or `port-in-use`. */
  static async start(agent: AgentProcess, config: GlobalConfig): Promise<GlobalTier> {
    const tier = new GlobalTier();
    try {
      await tier.#start(agent, config);
      return tier;
    } catch (thrown) {
      tier.#reloads?.close();
      await agent.stop();
      await tier.#close();
      throw thrown;
    }
  }

  async stop(): Promise<void> {
    await this.#close();
  }

  async #start(agent: AgentProcess, config: GlobalConfig): Promise<void> {
    const { log } = agent;
    const files = new RibFiles(config.node_dir, log);
    this.#closing.push(() => files.close());
    const rib = openRib(agent, files, (region) => doubts.tell(region));
    const doubts = new Doubts((region) => rib.regions.get(region)?.apis ?? [], log);
    this.#closing.push(() => doubts.close());
    const metrics: RouterMetrics = new RouterMetrics(agent.metrics.registry, {
      apps: () => rib.fib.size,
      quarantined: () => rib.quarantine.size,
      watchers: () => watches.watchers,
    });
    const authorities = config.borders.authorities;
    const borders = await Borders.open({ authorities, isInsecure: config.gossip.insecure, log });
    this.#closing.push(() => borders.close());
    const resolver = new Resolver({
      view: () => {
        const { fib, regions } = rib;
        return { fib, regions, complete: agent.runtime.agent.hasSynced, expected: borders.regions };
      },
      switches: () => files.switches,
      onDoubt: (doubt) => doubts.tell(doubt),
      metrics,
    });
    metrics.watchRegions(() => {
      // One whose authorities were taken away is given up: its row stays, and nobody waits for it.
      const expected = [...rib.regions.values()].filter(({ region }) => borders.mayPublish(region));
      return gradesOf(expected, systemNow(), resolver.config);
    });
    const watches: Watches = new Watches({
      rib,
      config: resolver.config,
      isOff: () => files.switches.features.includes("watch"),
    });
    this.#closing.push(() => watches.close());
    rib.follow((app) => resolver.forget(app));
    rib.reload();
    const reloads = (this.#reloads = new Reloads(rib));
    files.onSwitched(() => reloads.again());
    const routes = new Hono();
    addIndexRoutes(routes, { process: agent, rib, borders, metrics });
    addRouterRoutes(routes, { process: agent, rib, resolver });
    addMapRoutes(routes, { rib, reloads, files });
    addQueryRoutes(routes, { rib, resolver, isOff: () => files.switches.features.includes("query") });
    addWatchRoutes(routes, watches);
    const sockets = new Map([["/v1/watch", watchSocket(watches)]]);
    await agent.serve(routes, { sockets, direct: directPlacement(resolver) });
    this.#closing.push(() => agent.stop());
    this.#closing.push(() => reloads.close());
    if (config.dns !== undefined) await this.#startDns(config.dns, { rib, resolver, files, log });
  }

  async #startDns(dns: NonNullable<GlobalConfig["dns"]>, parts: DnsParts): Promise<void> {
    const { rib, resolver, files, log } = parts;
    const { address, domain, ttl_seconds: ttlSeconds, address_column: addressColumn, only } = dns;
    const server = await DnsServer.start({
      address,
      config: { domain, ttlSeconds, addressColumn, only, recordsMax: DNS_RECORDS_MAX },
      resolve: (app, options) => resolver.resolve(app, options),
      hasRegion: (region) => rib.regions.has(region),
      isOff: () => files.switches.features.includes("dns"),
      onFault: (thrown) => log.error({ reason: messageOf(thrown) }, "a question in the DNS was left without an answer"),
    });
    this.#closing.push(() => server.close());
  }

  async #close(): Promise<void> {
    for (;;) {
      const close = this.#closing.pop();
      if (close === undefined) return;
      await close();
    }
  }
}

/** The map, empty yet, and current once it is loaded. */
function openRib(agent: AgentProcess, files: RibFiles, tell: Doubts["tell"]): Rib {
  const rib = new Rib({
    rows: new StoreRows(agent.store),
    journal: files.journal,
    quarantine: files.quarantine,
    switches: () => files.switches,
    wallMs: () => systemNow().wallMs,
    onQuarantined: (row) => {
      const { table, app, region, reason, origin } = row;
      agent.log.error({ table, app, region, reason, origin }, "a row is kept out of the map");
      files.saveQuarantine();
      setImmediate(() => tell({ region, reason, ...(app === undefined ? {} : { app }) }));
    },
  });
  agent.runtime.onEvent((event) => {
    if (event.kind === "changed") rib.onChanged(event.rows);
  });
  return rib;
}
