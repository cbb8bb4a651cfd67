/**
 * Follows one app in one region: a stream from one of the region's agents, from the next when that one fails or falls
 * silent. While there is none, the region is as the index has it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { AppError, messageOf } from "@patina/base";
import { PatinaClient } from "@patina/api";
import {
  gradeOf,
  type InstanceRow,
  type PlacedRegion,
  type RegionState,
  type Route,
  type RouterConfig,
} from "@patina/router";
import { systemNow } from "@patina/runtime";

interface RegionLine {
  readonly generation?: number;
  readonly class?: "serving" | "standby" | null;
  readonly machines?: readonly InstanceRow[];
}

export interface RegionWatchOptions {
  readonly app: string;
  readonly region: string;
  readonly config: RouterConfig;
  readonly stateOf: () => RegionState | undefined;
  readonly routeOf: () => Route | undefined;
  /** How the region is now; undefined when it does not have the app. */
  readonly onState: (state: PlacedRegion | undefined) => void;
}

/** Three lines without news were due by then. */
const SILENT_MAX_MS = 15_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5000;

export class RegionWatch {
  readonly #options: RegionWatchOptions;
  readonly #ended = new AbortController();
  /** The stream from one agent: its own, as signals that hang on the end's would stay with it, one a retry. */
  #attempt = new AbortController();
  #failures = 0;

  constructor(options: RegionWatchOptions) {
    this.#options = options;
    void this.#follow();
  }

  close(): void {
    this.#ended.abort();
    this.#attempt.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const reason = await this.#followOne().catch(messageOf);
      if (signal.aborted) return;
      this.#options.onState(this.#fromIndex(reason));
      const afterMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures++, 10));
      await delay(afterMs, undefined, { signal }).catch(() => undefined); // Ended: then so does the loop.
    }
  }

  /** Until the stream ends; says why it did. */
  async #followOne(): Promise<string> {
    const { app, config, stateOf } = this.#options;
    const apis = stateOf()?.apis ?? [];
    const api = apis[this.#failures % Math.max(1, apis.length)];
    if (api === undefined) return "it has told nobody where to ask";
    const attempt = (this.#attempt = new AbortController());
    const { signal } = attempt;
    let timer = setTimeout(() => attempt.abort(), config.askTimeoutMs);
    const path = `/v1/apps/${encodeURIComponent(app)}/watch?limit=${config.instancesMax}`;
    try {
      for await (const line of new PatinaClient(api).events(path, { timeoutMs: 0, signal })) {
        clearTimeout(timer);
        timer = setTimeout(() => attempt.abort(), SILENT_MAX_MS);
        this.#failures = 0;
        this.#onLine(line);
      }
      return `${api} ended the watch`;
    } catch (thrown) {
      if (signal.aborted) return `${api} is silent`;
      throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }

  #onLine(line: RegionLine): void {
    const { region, stateOf, routeOf, onState } = this.#options;
    const { class: cls, machines, generation = 0 } = line;
    if (cls === undefined || machines === undefined) return; // No news.
    if (generation < Math.max(stateOf()?.generation ?? 0, routeOf()?.generation ?? 0)) {
      throw new AppError("not-ready", `generation ${generation} of ${region} was replaced`);
    }
    if (cls === null) return onState(undefined);
    onState({ region, class: cls, grade: "live", ageMs: 0, source: "region", instances: machines });
  }

  #fromIndex(note: string): PlacedRegion | undefined {
    const { region, config, stateOf, routeOf } = this.#options;
    const route = routeOf();
    if (route === undefined) return undefined;
    const { grade, ageMs } = gradeOf(stateOf(), systemNow(), config);
    return { region, class: route.class, grade, ageMs, source: "index", instances: [], note };
  }
}
