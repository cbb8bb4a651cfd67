/** The region as this agent's own store and membership have it, for the border that runs in it. */
import type { Hlc } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import type { RegionMember, RegionView } from "@patina/summary";
import { Detail, type PlacementClass } from "./detail.js";

/** What of an agent's process is looked at. */
export interface ViewedAgent {
  readonly nodeId: string;
  readonly apiUrl: string;
  readonly store: SqliteStore;
  readonly runtime: {
    readonly agent: { readonly hasSynced: boolean };
    members(): readonly (Pick<RegionMember, "nodeId" | "state"> & { readonly meta: { readonly api: string } })[];
  };
}

export class StoreView implements RegionView {
  readonly #process: ViewedAgent;
  readonly #detail: Detail;

  constructor(process: ViewedAgent) {
    this.#process = process;
    this.#detail = new Detail(process.store);
  }

  get nodeId(): string {
    return this.#process.nodeId;
  }

  get api(): string {
    return this.#process.apiUrl;
  }

  get hasSynced(): boolean {
    return this.#process.runtime.agent.hasSynced;
  }

  get hasView(): boolean {
    return this.#detail.hasView;
  }

  enlisted(): readonly string[] {
    return this.#process.store.members.roster();
  }

  members(): readonly RegionMember[] {
    return this.#process.runtime.members().map(({ nodeId, state, meta }) => ({ nodeId, state, api: meta.api }));
  }

  apps(): readonly string[] {
    return this.#detail.apps().map(({ app }) => app);
  }

  classOf(app: string): PlacementClass | undefined {
    return this.#detail.app(app)?.class;
  }

  highWater(app: string): Hlc {
    return this.#detail.highWater(app);
  }

  regionHighWater(): Hlc {
    return this.#process.store.highWater();
  }

  hasGaps(): boolean {
    const { store } = this.#process;
    return !store.isWhole || [...store.holdings().values()].some(({ gaps }) => gaps.size > 0);
  }
}
