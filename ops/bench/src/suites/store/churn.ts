/**
 * Rows that are created and deleted again without end, as machines are: what is left of those that are gone must not
 * grow. Time is the store's own here, fifty cycles to the second, with housekeeping and rounds of anti-entropy as often
 * as an agent has them.
 */
import { setImmediate } from "node:timers/promises";
import { join } from "node:path";
import { defaultAgentConfig } from "@patina/agent";
import { hlcFromMs, type RowWrite } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import { AgentStore, commitOne, unlessBusy } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { type Figure, figure, figureAlone } from "../../report.js";
import type { SuiteOptions } from "../suite.js";
import { metadataBytes, tableSizes } from "./table-sizes.js";

const FULL = { live: 10_000, warmUp: 10_000, cycles: 1_000_000 };
const QUICK = { live: 1000, warmUp: 5000, cycles: 20_000 };
const CYCLES_PER_COMMIT = 100;
const COMMIT_EVERY_MS = 2000;
const SLICES_PER_COMMIT = COMMIT_EVERY_MS / 50;
const SWEPT_KEYS = 500;
const GOAL = 1.5;
const START_MS = 1_790_000_000_000;

export async function churnFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const path = join(dir, "churn.db");
  const agent = new AgentStore(path);
  try {
    const churn = new Churn(agent.store, new Machines(sizes.live, rng.fork()));
    churn.load();
    await churn.run(sizes.warmUp);
    const start = tableSizes(path);
    await churn.run(sizes.cycles);
    const end = tableSizes(path);
    const kib = (name: string, bytes: number): Figure => figure({ name, unit: "KiB", values: [bytes / 1024] });
    const what = `metadata after ${sizes.cycles.toLocaleString("en-US")} create/delete cycles of ${sizes.live.toLocaleString("en-US")} rows`; // prettier-ignore
    const parts = ["_patina_tombstones", "_patina_log", "_patina_app_high"];
    return [
      kib(`metadata at the start, after ${sizes.warmUp.toLocaleString("en-US")} cycles`, metadataBytes(start)),
      kib(what, metadataBytes(end)),
      ...parts.flatMap((name) => [kib(`  ${name}, start`, start.get(name) ?? 0), kib(`  ${name}, end`, end.get(name) ?? 0)]), // prettier-ignore
      figureAlone({ name: "metadata, end to start", unit: "×", values: [metadataBytes(end) / metadataBytes(start)] }, { of: "value", atMost: GOAL }), // prettier-ignore
    ];
  } finally {
    await agent.close();
  }
}

/** The oldest rows go, and as many new ones come. */
class Churn {
  readonly #store: SqliteStore;
  readonly #machines: Machines;
  #wallMs = START_MS;
  #born = 0;
  #dead = 0;
  #held = 0;

  constructor(store: SqliteStore, machines: Machines) {
    this.#store = store;
    this.#machines = machines;
  }

  load(): void {
    while (this.#born < this.#machines.count) this.#commit(this.#births(CYCLES_PER_COMMIT));
  }

  async run(cycles: number): Promise<void> {
    for (let done = 0; done < cycles; done += CYCLES_PER_COMMIT) {
      this.#wallMs += COMMIT_EVERY_MS;
      this.#commit([...this.#deaths(CYCLES_PER_COMMIT), ...this.#births(CYCLES_PER_COMMIT)]);
      // Alone in its cluster: what it held in the round before is stable in this one.
      const before = hlcFromMs(this.#wallMs - defaultAgentConfig.collectAfterMs);
      this.#store.noteStable(new Map([[this.#store.origin, this.#held]]), before);
      this.#held = this.#store.holdings().get(this.#store.origin)?.head ?? 0;
      const sweep = (): boolean => unlessBusy(() => this.#store.maintain(SWEPT_KEYS));
      for (let slice = 0; slice < SLICES_PER_COMMIT && sweep(); slice++);
      await setImmediate(); // The thread that cuts the log is asked from this one.
    }
  }

  #machine(n: number): Machine {
    return this.#machines.at(n % this.#machines.count);
  }

  #births(count: number): RowWrite[] {
    return Array.from({ length: count }, () => {
      const { write } = this.#machine(this.#born);
      return { ...write, values: { ...write.values, id: `machine-${this.#born++}` } };
    });
  }

  #deaths(count: number): RowWrite[] {
    return Array.from({ length: count }, () => {
      return { table: "machines", values: { id: `machine-${this.#dead++}` }, deleted: true };
    });
  }

  #commit(rows: readonly RowWrite[]): void {
    commitOne(this.#store, { kind: "rows", rows }, this.#wallMs);
  }
}
