/**
 * One agent as a process: data directory, store, gossip, readers, live queries, checkpoints, metrics and HTTP, put
 * together in the one order that leaves nothing half open when a step fails. Both tiers are this, with tables and
 * routes of their own.
 */
import type { AgentPort, Beside, LiveQueriesPort, Operations, OwnersPort } from "@patina/api";
import { agentRoutes, serveApi } from "@patina/api";
import { defaultAgentConfig } from "@patina/agent";
import { AppError } from "@patina/base";
import { type ObjectStore, openCheckpointStore } from "@patina/checkpoint";
import {
  AgentRuntime,
  BlackBox,
  DataDir,
  defaultReaderPoolConfig,
  defaultWatchdogConfig,
  listenError,
  LiveQueriesHost,
  newBytes,
  Maintenance,
  newDbId,
  parseAddress,
  ReaderPool,
  systemNow,
} from "@patina/runtime";
import type { Credentials, Security } from "@patina/security";
import { SqliteStore } from "@patina/store";
import { AgentMetrics, createLogger, logEvent, type Logger } from "@patina/telemetry";
import type { Hono } from "hono";
import { Checkpoints } from "./checkpoints/checkpoints.js";
import type { GenerationWatch } from "./checkpoints/generation-watch.js";
import { removeLeftovers } from "./checkpoints/drill/drilling.js";
import { CheckpointService } from "./checkpoints/service.js";
import { prepareDataDir } from "./checkpoints/starting.js";
import { removeUntaken } from "./checkpoints/taking.js";
import type { AgentProcessConfig } from "./config.js";
import { refuseDerived } from "./derived-tables.js";
import { Integrity } from "./integrity.js";
import { type Lag, watchLag } from "./lag.js";
import { SchemaWatch } from "./schema-watch.js";
import { openTransport, watchSecurity } from "./transport.js";

export interface Tier {
  readonly role: "regional" | "global";
  /** The tables of a cluster of this tier, unless the configuration names others. */
  readonly schemaSql: string;
  /** Tables that only the tier's own routes write: what is derived is never authored. */
  readonly derivedTables?: readonly string[];
  /** Its own routes, described. */
  readonly operations?: Operations;
}

export interface AgentProcessOptions {
  readonly config: AgentProcessConfig;
  readonly tier: Tier;
  readonly version: string;
  /** The database can take no more writes: the process must end. */
  readonly onFatal: (error: AppError) => void;
}

export class AgentProcess {
  readonly config: AgentProcessConfig;
  readonly log: Logger;
  readonly store: SqliteStore;
  readonly runtime: AgentRuntime;
  readonly metrics: AgentMetrics;
  readonly apiUrl: string;
  readonly #dataDir: DataDir;
  readonly #parts: ProcessParts;
  /** What is to be closed, last opened first. */
  readonly #closing: (() => Promise<void> | void)[];

  private constructor(parts: ProcessParts) {
    this.#parts = parts;
    this.#closing = parts.closing;
    this.config = parts.config;
    this.log = parts.log;
    this.store = parts.store;
    this.runtime = parts.runtime;
    this.metrics = parts.metrics;
    this.apiUrl = parts.apiUrl;
    this.#dataDir = parts.dataDir;
  }

  /**
   * Opens everything but HTTP, which waits for `serve`. Throws what the step that failed throws, with everything opened
   * before it closed again.
   */
  static async start(options: AgentProcessOptions): Promise<AgentProcess> {
    const closing: (() => Promise<void> | void)[] = [];
    try {
      return new AgentProcess(await assemble(options, closing));
    } catch (thrown) {
      await closeAll(closing);
      throw thrown;
    }
  }

  get nodeId(): string {
    return this.#dataDir.identity.nodeId;
  }

  /** What this node proves itself with, as it is now; undefined where members speak plaintext. */
  get credentials(): Credentials | undefined {
    return this.#parts.security?.credentials;
  }

  /** Serves the routes every agent has, and the tier's before them. Throws `port-in-use` or `config-invalid`. */
  async serve(tierRoutes: Hono, beside?: Beside): Promise<void> {
    const { address } = this.config.api;
    const { liveQueries, checkpoints, generations, integrity } = this.#parts;
    const monotonicMs = (): number => systemNow().monotonicMs;
    const agent = this.#agentPort();
    const ports = { agent, liveQueries, checkpoints, generations, integrity, owners: ownersPort(this.store) };
    const app = agentRoutes({ ...ports, monotonicMs, tierRoutes, tierOperations: this.#parts.operations });
    try {
      const server = await serveApi(app, parseAddress(address), beside);
      this.#closing.push(() => server.close());
    } catch (thrown) {
      throw listenError(thrown as NodeJS.ErrnoException, "the API", address);
    }
  }

  /** Stops taking requests, leaves the cluster, and closes everything. */
  async stop(): Promise<void> {
    await closeAll(this.#closing);
  }

  #agentPort(): AgentPort {
    const { store, runtime, metrics } = this;
    const { readers, derivedTables, lag } = this.#parts;
    return {
      cluster: store.cluster,
      nodeId: this.nodeId,
      origin: store.origin,
      write: (write) => {
        refuseDerived(write, derivedTables);
        return runtime.write(write);
      },
      object: (table, key) => store.readObject(table, key),
      query: (sql, params, deadlineMs) => readers.query(sql, params, deadlineMs),
      self: () => runtime.membership.self,
      members: () => runtime.members(),
      digest: (bucketsOf) => {
        const report = digestReport(store);
        return bucketsOf === undefined ? report : { ...report, buckets: store.bucketDigests(bucketsOf) };
      },
      schema: () => store.schemas.current(),
      planSchema: (sql, ignored) => store.schemas.plan(sql, ignored),
      planDrop: (names) => store.schemas.drop(names),
      eviction: (node) => store.members.eviction(node),
      readiness: () => {
        const unsynced = runtime.agent.hasSynced ? [] : ["not compared equal with any peer since the start"];
        const { unadopted } = store.schemas;
        const behind = unadopted === undefined ? [] : [`the cluster's schema cannot be had here: ${unadopted.message}`];
        const reasons = [...unsynced, ...behind, ...lag.reasons()];
        return { ready: reasons.length === 0, reasons };
      },
      metrics: () => metrics.text(),
    };
  }
}

interface ProcessParts {
  readonly config: AgentProcessConfig;
  readonly log: Logger;
  readonly dataDir: DataDir;
  readonly store: SqliteStore;
  readonly runtime: AgentRuntime;
  readonly readers: ReaderPool;
  readonly liveQueries: LiveQueriesPort;
  readonly checkpoints: Checkpoints;
  readonly generations: GenerationWatch | undefined;
  readonly integrity: Integrity;
  readonly metrics: AgentMetrics;
  readonly apiUrl: string;
  readonly security: { readonly credentials: Credentials } | undefined;
  readonly derivedTables: readonly string[];
  readonly operations: Operations;
  readonly lag: Lag;
  readonly closing: (() => Promise<void> | void)[];
}

async function assemble(options: AgentProcessOptions, closing: ProcessParts["closing"]): Promise<ProcessParts> {
  const { config, tier, version, onFatal } = options;
  const { name } = config.cluster;
  const log = createLogger(config.log.level, `${tier.role}/${name}`);
  const security = await openTransport(config, tier.role);
  const objects = config.checkpoint === undefined ? undefined : await openCheckpoints(config.checkpoint);

  const generation = await prepareDataDir({
    objects,
    cluster: name,
    nodeDir: config.node_dir,
    bootstrap: config.checkpoint?.bootstrap ?? true,
    say: (message, details) => log.warn(details, message),
  });
  const dataDir = new DataDir(config.node_dir, systemNow().wallMs, security?.credentials.self.node);
  closing.push(() => dataDir.close());
  await Promise.all([removeLeftovers(dataDir.path), removeUntaken(dataDir.path)]);
  const blackBox = new BlackBox();
  const store = openStore({ config, tier, dataDir, blackBox, generation });
  closing.push(() => store.close());
  const maintenance = new Maintenance(dataDir.databasePath);
  closing.push(() => maintenance.close());
  const { deadline_ms: deadlineMs, readers: workers } = config.query;
  const readers = new ReaderPool(dataDir.databasePath, { ...defaultReaderPoolConfig, workers, deadlineMs });
  closing.push(() => readers.close());
  const liveQueries = new LiveQueriesHost(dataDir.databasePath);
  closing.push(() => liveQueries.close());

  const apiUrl = config.api.advertise ?? `http://${config.api.address}`;
  const runtime = await startRuntime({ config, dataDir, store, apiUrl, blackBox, security });
  closing.push(() => runtime.stop());
  const watch = security === undefined ? undefined : watchSecurity({ config, role: tier.role, runtime, security, log });
  closing.push(() => watch?.close());
  const metrics = openMetrics({ store, runtime, role: tier.role, version, watch });
  const schemas = new SchemaWatch(store, log);
  runtime.onEvent((event) => {
    logEvent(log, event);
    if (event.kind === "changed") {
      liveQueries.onChanged(event.rows);
      schemas.onChanged(event.rows);
    }
    if (event.kind === "store-failed") onFatal(event.error);
    if (event.kind === "evicted") onFatal(abandon(dataDir, event.reason));
    if (event.kind === "outlived") onFatal(startAbove(dataDir, event.boot));
  });
  const lag = watchLag(store, runtime, { boot: dataDir.identity.boot, hasSeeds: config.gossip.seeds.length > 0 });
  closing.push(() => lag.close());
  const service = startCheckpoints({ config, objects, store, runtime, dataDir, version, log, onFatal });
  closing.push(() => service?.close());
  if (service !== undefined) metrics.watchCheckpoints(() => service.standing.look());
  return {
    config,
    log,
    dataDir,
    store,
    runtime,
    readers,
    liveQueries,
    checkpoints: service?.checkpoints ?? new Checkpoints(undefined),
    generations: service?.generations,
    integrity: new Integrity(runtime, maintenance),
    metrics,
    apiUrl,
    security: watch,
    derivedTables: tier.derivedTables ?? [],
    operations: tier.operations ?? {},
    lag,
    closing,
  };
}

function startCheckpoints(parts: {
  readonly config: AgentProcessConfig;
  readonly objects: ObjectStore | undefined;
  readonly store: SqliteStore;
  readonly runtime: AgentRuntime;
  readonly dataDir: DataDir;
  readonly version: string;
  readonly log: Logger;
  readonly onFatal: AgentProcessOptions["onFatal"];
}): CheckpointService | undefined {
  const { config, objects, dataDir, ...rest } = parts;
  if (objects === undefined || config.checkpoint === undefined) return undefined;
  const { schedule, retention, store, key_file: keyFile } = config.checkpoint;
  const { path: nodeDir, databasePath, identity } = dataDir;
  const { nodeId } = identity;
  return new CheckpointService({
    ...rest,
    objects,
    location: { store, keyFile },
    retention: retention === "none" ? undefined : retention,
    schedule: schedule === "off" ? undefined : schedule,
    nodeDir,
    databasePath,
    nodeId,
  });
}

function openMetrics(parts: {
  readonly store: SqliteStore;
  readonly runtime: AgentRuntime;
  readonly role: Tier["role"];
  readonly version: string;
  readonly watch: ReturnType<typeof watchSecurity> | undefined;
}): AgentMetrics {
  const { store, runtime, role, version, watch } = parts;
  const metrics = new AgentMetrics({
    cluster: store.cluster,
    role,
    version,
    agent: runtime.agent,
    membership: () => runtime.membership,
    store,
    ...(watch === undefined ? {} : { security: watch }),
  });
  runtime.observe((input, effects) => metrics.observe(input, effects));
  return metrics;
}

/** The next start begins with an empty database; this one is kept beside it. */
function abandon(dataDir: DataDir, reason: string): AppError {
  dataDir.abandonDatabase(reason);
  return new AppError("member-evicted", `the database ${dataDir.databasePath} must not be used any more: ${reason}`, {
    hint: "Start the agent again: it begins with an empty database, gets everything from the others, and keeps the old one.",
  });
}

/** The next start is believed, whatever its clock says. */
function startAbove(dataDir: DataDir, boot: number): AppError {
  dataDir.startAbove(boot);
  return new AppError(
    "member-outlived",
    `this start is number ${dataDir.identity.boot}, and the others hold number ${boot} for gone: they believe nothing that it says`,
    {
      hint: "Start the agent again, and see to the machine's clock: an old copy of its disk ran with the time set back.",
    },
  );
}

function openStore(parts: {
  readonly config: AgentProcessConfig;
  readonly tier: Tier;
  readonly dataDir: DataDir;
  readonly blackBox: BlackBox;
  /** Of a database that is new. */
  readonly generation: number;
}): SqliteStore {
  const { config, tier, dataDir, blackBox, generation } = parts;
  return new SqliteStore({
    path: dataDir.databasePath,
    cluster: { name: config.cluster.name, generation },
    node: dataDir.identity.nodeId,
    worker: config.worker ?? dataDir.identity.nodeId,
    newDbId,
    schemaSql: tier.schemaSql,
    walAutocheckpointPages: 0,
    onRow: (table, key) => blackBox.noteRow(table, key),
  });
}

async function startRuntime(parts: {
  readonly config: AgentProcessConfig;
  readonly dataDir: DataDir;
  readonly store: SqliteStore;
  readonly apiUrl: string;
  readonly blackBox: BlackBox;
  readonly security: Security | undefined;
}): Promise<AgentRuntime> {
  const { config, dataDir, store, apiUrl, blackBox, security } = parts;
  const { address, advertise = address, seeds } = config.gossip;
  return AgentRuntime.start({
    dataDir,
    store,
    gossip: { address, advertise, seeds },
    api: apiUrl,
    config: defaultAgentConfig,
    blackBox,
    watchdog: { ...defaultWatchdogConfig, abortAfterMs: config.watchdog.abort_after_ms },
    ...(security === undefined ? {} : { security }),
  });
}

function ownersPort(store: SqliteStore): OwnersPort {
  return {
    worker: store.owners.self.worker,
    ownership: (table, key) => store.ownership(table, key),
    conflicts: () => store.owners.conflicts(),
  };
}

function digestReport(store: SqliteStore): ReturnType<AgentPort["digest"]> {
  const holdings = [...store.holdings()];
  return {
    digest: store.digest(),
    tables: store.tableDigests(),
    holdings: Object.fromEntries(holdings.map(([origin, { head }]) => [origin, head])),
    gaps: holdings.reduce((sum, [, { gaps }]) => sum + gaps.size, 0),
    hlc: String(store.highWater()),
    quarantined: store.quarantinedCount(),
  };
}

async function closeAll(closing: (() => Promise<void> | void)[]): Promise<void> {
  for (;;) {
    const close = closing.pop();
    if (close === undefined) return;
    await close();
  }
}

async function openCheckpoints({
  store,
  key_file,
}: NonNullable<AgentProcessConfig["checkpoint"]>): Promise<ObjectStore> {
  return openCheckpointStore(store, { wallMs: () => systemNow().wallMs, keyFile: key_file, entropy: newBytes });
}
