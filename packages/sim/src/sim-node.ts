/** One simulated machine: a disk that outlives its processes, and at most one process, with the production agent in it. */
import { type ClusterId, type NodeId, type Now, type Rng } from "@patina/base";
import { type NodeEffect, type NodeInput, SingleThread, type StorePort, testAgentConfig } from "@patina/agent";
import { SqliteStore } from "@patina/store";
import { Disk } from "./disk.js";

const SIM_SCHEMA = `
-- @app app
CREATE TABLE machines (
  id TEXT NOT NULL PRIMARY KEY, app TEXT NOT NULL DEFAULT '', state TEXT NOT NULL DEFAULT 'created',
  cpus INTEGER NOT NULL DEFAULT 1, note TEXT);
CREATE INDEX machines_app ON machines (app);
-- Only ever inserted into, each row once: what was acknowledged must be here, everywhere, in the end.
CREATE TABLE ledger (id TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL DEFAULT '');
`;

/** Lets a test put a bug between agent and store, to prove that the checkers see it. */
export type WrapStore = (store: StorePort, rng: Rng) => StorePort;

export interface SimNodeOptions {
  readonly index: number;
  readonly home: string;
  readonly cluster: ClusterId;
  readonly seeds: readonly string[];
  readonly rng: Rng;
  readonly wrapStore: WrapStore | undefined;
}

interface Process {
  readonly agent: SingleThread;
  readonly store: SqliteStore;
}

/** Housekeeping in slices as small as they come: a pass takes many. */
const MAINTAIN_ROWS = 3;

export class SimNode {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly address: string;
  readonly #options: SimNodeOptions;
  readonly #rng: Rng;
  readonly #disk: Disk;
  #process: Process | undefined;
  /** Counts processes: timers and arrivals meant for an older one are nobody's. */
  boot = 0;

  constructor(options: SimNodeOptions) {
    this.index = options.index;
    this.#options = options;
    this.#rng = options.rng;
    this.nodeId = hexDigits(this.#rng, 32);
    this.address = addressOf(options.index);
    this.#disk = new Disk(options.home);
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get agent(): SingleThread | undefined {
    return this.#process?.agent;
  }

  get store(): SqliteStore | undefined {
    return this.#process?.store;
  }

  start(now: Now): NodeEffect[] {
    const { cluster, seeds, wrapStore } = this.#options;
    const store = new SqliteStore({
      path: this.#disk.databasePath,
      cluster,
      node: this.nodeId,
      newDbId: () => hexDigits(this.#rng, 16),
      schemaSql: SIM_SCHEMA,
      walAutocheckpointPages: 0, // The log is the crash model's: nothing may move out of it behind its back.
    });
    this.#disk.markSynced();
    this.boot++;
    const agent = new SingleThread({
      cluster,
      self: { nodeId: this.nodeId, boot: this.boot, address: this.address, meta: { api: `http://${this.address}` } },
      seeds: seeds.filter((seed) => seed !== this.address),
      store: wrapStore === undefined ? store : wrapStore(store, this.#rng.fork()),
      config: testAgentConfig,
      rng: this.#rng.fork(),
    });
    this.#process = { agent, store };
    const effects = agent.handle({ kind: "start" }, now);
    if (store.isDurable) this.#disk.markSynced(); // It has enlisted.
    return effects;
  }

  handle(input: NodeInput, now: Now): NodeEffect[] {
    const effects = this.#process?.agent.handle(input, now) ?? [];
    const store = this.#process?.store;
    if (input.kind === "wake" && store !== undefined) while (store.maintain(MAINTAIN_ROWS)); // What a driver does by the clock.
    if (store?.isDurable === true) this.#disk.markSynced();
    return effects;
  }

  /** Power is lost: the process is gone and with it what was not synced. */
  crash(): void {
    this.#disk.losePower(this.#rng);
    this.stop();
    this.#disk.discardOldLives();
  }

  stop(): void {
    this.#process?.store.close();
    this.#process = undefined;
  }
}

export function addressOf(index: number): string {
  return `node-${index}:7946`;
}

export function indexOfAddress(address: string): number {
  return Number(/^node-(\d+):/.exec(address)?.[1] ?? -1);
}

function hexDigits(rng: Rng, count: number): string {
  let text = "";
  while (text.length < count) text += rng.u32().toString(16).padStart(8, "0");
  return text.slice(0, count);
}
