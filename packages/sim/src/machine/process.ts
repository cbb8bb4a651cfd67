/**
 * One process of a simulated node: the production agent on the production store, as a runtime composes them. Everything
 * that runs in it is put together here and nowhere else.
 */
import type { ClusterId, DbId, NodeId, Now, Rng } from "@patina/base";
import {
  type AgentConfig,
  type NodeEffect,
  type NodeInput,
  SingleThread,
  type StorePort,
  testAgentConfig,
} from "@patina/agent";
import type { Member } from "@patina/membership";
import { defaultStoreLimits, SqliteStore } from "@patina/store";
import { SIM_SCHEMA } from "./schema.js";
import { Witness, type WitnessReport } from "./witness.js";

/** Lets a test put a bug between agent and store, to prove that the checkers see it. */
export type WrapStore = (store: StorePort, rng: Rng) => StorePort;

export interface ProcessOptions {
  readonly databasePath: string;
  readonly cluster: ClusterId;
  readonly nodeId: NodeId;
  readonly boot: number;
  readonly worker: string;
  readonly address: string;
  readonly seeds: readonly string[];
  readonly remembered: readonly Member[];
  readonly newDbId: () => DbId;
  readonly evictAfterMs: number | undefined;
  readonly directMembersMax: number;
  /** Pages the database may grow to: its disk is full then. */
  readonly pagesMax: number | undefined;
  readonly wrapStore: WrapStore | undefined;
  readonly report: WitnessReport;
  readonly rng: Rng;
}

/** Housekeeping in slices as small as they come: a pass takes many. */
const MAINTAIN_ROWS = 3;

export class SimProcess {
  readonly agent: SingleThread;
  readonly store: SqliteStore;
  readonly #witness: Witness;

  constructor(options: ProcessOptions) {
    const { cluster, nodeId, boot, worker, address, seeds, remembered, wrapStore, pagesMax, rng } = options;
    this.store = new SqliteStore({
      path: options.databasePath,
      cluster,
      node: nodeId,
      worker,
      newDbId: options.newDbId,
      schemaSql: SIM_SCHEMA,
      walAutocheckpointPages: 0, // The log is the crash model's: nothing may move out of it behind its back.
      ...(pagesMax === undefined ? {} : { limits: { ...defaultStoreLimits, pagesMax } }),
    });
    this.#witness = new Witness(this.store, testAgentConfig.gossip, options.report);
    this.agent = new SingleThread({
      cluster,
      self: { nodeId, boot, address, meta: { api: `http://${address}` } },
      seeds,
      remembered,
      store: wrapStore === undefined ? this.#witness : wrapStore(this.#witness, rng.fork()),
      config: configOf(options),
      rng: rng.fork(),
    });
  }

  /** Has anything been written to the files since this was asked last? */
  takeWritten(): boolean {
    return this.#witness.takeWritten();
  }

  handle(input: NodeInput, now: Now): NodeEffect[] {
    this.#witness.wallMs = now.wallMs;
    const effects = this.agent.handle(input, now);
    if (input.kind === "wake" && input.timer.kind === "sync") this.#maintain();
    return effects;
  }

  close(): void {
    this.store.close();
  }

  /** What a runtime does by the clock. */
  #maintain(): void {
    while (this.#witness.maintain(MAINTAIN_ROWS));
  }
}

function configOf({ evictAfterMs, directMembersMax }: ProcessOptions): AgentConfig {
  const gossip = { ...testAgentConfig.gossip, directMembersMax };
  return { ...testAgentConfig, gossip, ...(evictAfterMs === undefined ? {} : { evictAfterMs }) };
}

/** Is it taken by membership's own thread, which goes on while the main one stands still? */
export function isForMembership(input: NodeInput): boolean {
  return input.kind === "datagram" || (input.kind === "wake" && input.timer.kind === "membership");
}
