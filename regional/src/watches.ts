/**
 * Tells routers how an app is in this region, whenever that changes: the whole of it each time, so that a reader that is
 * slow gets the latest and never a queue.
 */
import { AppError } from "@patina/base";
import type { AgentProcess } from "@patina/process";
import type { Detail } from "./detail.js";

/** Watches at once, over all apps; more are refused with `too-many`. */
const WATCHES_MAX = 4096;
/** Changes are gathered for so long, so that a deploy is not a line a machine. */
const GATHER_MS = 20;
/** A line without news, so that the reader knows that the way is open. */
const KEEPALIVE_MS = 5000;

export interface WatchOptions {
  readonly instancesMax: number;
  readonly signal: AbortSignal;
}

export class Watches {
  readonly #process: AgentProcess;
  readonly #detail: Detail;
  readonly #wakeByApp = new Map<string, Set<() => void>>();
  #watches = 0;

  constructor(process: AgentProcess, detail: Detail) {
    this.#process = process;
    this.#detail = detail;
    process.runtime.onEvent((event) => {
      if (event.kind !== "changed" || this.#watches === 0) return;
      for (const { app, appBefore } of event.rows) {
        this.#wake(app);
        if (appBefore !== app) this.#wake(appBefore);
      }
    });
  }

  /** NDJSON lines until the signal: the app as it is, or a line without news. Throws `too-many`. */
  open(app: string, options: WatchOptions): AsyncGenerator<string, void, void> {
    if (this.#watches >= WATCHES_MAX) {
      throw new AppError("too-many", `${WATCHES_MAX} apps are watched`, { hint: "Watch at another agent." });
    }
    return this.#lines(app, options);
  }

  async *#lines(app: string, { instancesMax, signal }: WatchOptions): AsyncGenerator<string, void, void> {
    const news = new News(signal);
    const wakes = this.#wakeByApp.get(app) ?? new Set();
    this.#wakeByApp.set(app, wakes.add(news.wake));
    this.#watches++;
    try {
      let said = "";
      while (!signal.aborted) {
        const line = `${JSON.stringify(this.#state(app, instancesMax))}\n`;
        yield line === said ? "{}\n" : line;
        said = line;
        if (await news.within(KEEPALIVE_MS)) await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
      }
    } finally {
      this.#watches--;
      wakes.delete(news.wake);
      if (wakes.size === 0) this.#wakeByApp.delete(app);
    }
  }

  #state(app: string, instancesMax: number): unknown {
    const { name: region, generation } = this.#process.store.cluster;
    const placement = this.#detail.app(app);
    if (placement === undefined) return { region, generation, class: null, machines: [] };
    return { region, generation, class: placement.class, machines: this.#detail.instances(app, instancesMax) };
  }

  #wake(app: string | undefined): void {
    if (app !== undefined) for (const wake of this.#wakeByApp.get(app) ?? []) wake();
  }
}

/** Something to wait for: that there is news, that a time is over, or that nobody waits any more. */
class News {
  #isThere = false;
  #resolve: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener("abort", this.wake, { once: true });
  }

  readonly wake = (): void => {
    this.#isThere = true;
    this.#resolve?.();
  };

  async within(ms: number): Promise<boolean> {
    if (!this.#isThere) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
    }
    const isThere = this.#isThere;
    this.#isThere = false;
    return isThere;
  }
}
