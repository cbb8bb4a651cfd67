/**
 * Three agents of one region, as production runs them (data directory, store, maintenance thread, gossip on loopback),
 * in this process: one clock for all, and one thread, so that what is measured includes the work of all three.
 */
import { join } from "node:path";
import type { Effect } from "@patina/agent";
import { type Change, must, type Write } from "@patina/base";
import { type BenchAgent, startAgent } from "./agent.js";
import { within } from "./pacing.js";

const SIZE = 3;
const SETTLE_LIMIT_MS = 60_000;

export class Region {
  readonly #agents: BenchAgent[] = [];
  /** Deliveries under way, by the row's `writes`, which no two changes share. */
  readonly #awaited = new Map<bigint, (seenMs: number) => void>();
  /** What is waited for across the agents, looked at after every step of any. */
  #settling: { readonly isDone: () => boolean; readonly resolve: () => void } | undefined;
  #streamBytes = 0;
  #bodyBytes = 0;

  /** Starts the agents, gives the first a history of other origins, and waits until each has a stream to every other. Throws with all of them stopped again. */
  static async start(dir: string, history: readonly Change[] = []): Promise<Region> {
    const region = new Region();
    try {
      for (let i = 0; i < SIZE; i++) region.#add(await startAgent(join(dir, `agent-${i}`), region.#addresses()));
      region.#agent(0).runtime.store.apply(history);
      await region.#until(() => region.#agents.every(({ runtime }) => runtime.agent.reachable().length === SIZE - 1));
      return region;
    } catch (thrown) {
      await region.stop();
      throw thrown;
    }
  }

  /** Bytes handed to sockets by all agents since the start: changes, anti-entropy and membership. */
  get sentBytes(): number {
    const datagrams = this.#agents.map(({ runtime }) => runtime.membership.sentBytes);
    return datagrams.reduce((sum, bytes) => sum + bytes, this.#streamBytes);
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

  /** Waits until every agent holds everything that the first holds. */
  async settle(): Promise<void> {
    const wanted = [...this.#agent(0).runtime.store.holdings()];
    await this.#until(() =>
      this.#agents.every(({ runtime }) => {
        const holdings = runtime.store.holdings();
        return wanted.every(([origin, { head }]) => {
          const holding = holdings.get(origin);
          return head === 0 || (holding !== undefined && holding.head >= head && holding.gaps.isEmpty);
        });
      }),
    );
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents.splice(0).reverse()) await agent.stop();
  }

  #add(agent: BenchAgent): void {
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
      if (effect.kind === "send") this.#streamBytes += effect.bytes.length;
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

  #agent(index: number): BenchAgent {
    return must(this.#agents[index], "an agent");
  }
}
