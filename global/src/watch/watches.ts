/**
 * Who watches which app at this router. However many watch an app, its regions are followed once: one stream each, opened
 * and closed as the map says who has it. A watch outlives its last watcher for a while, so that one who returns can go on.
 */
import { AppError } from "@patina/base";
import {
  AppWatch,
  defaultWatchConfig,
  type PlacedRegion,
  type RouterConfig,
  WatcherQueue,
  type WatchEvent,
  type Rib,
} from "@patina/router";
import { newCounter } from "@patina/runtime";
import { RegionWatch } from "./region-watch.js";

/** Apps watched, and those who watch; more are refused with `too-many`. */
const APPS_MAX = 2000;
const WATCHERS_MAX = 10_000;
const LINGER_MS = 30_000;
/** How long the first snapshot waits for regions that have not said anything yet. */
const FIRST_WORD_MS = 1000;
const ASK_ANOTHER = "Watch at another router.";

export interface Watcher {
  /** The next events, once there are any; none when the watch has ended. */
  next(): Promise<readonly WatchEvent[]>;
  close(): void;
}

interface Watched {
  readonly watch: AppWatch;
  readonly regions: Map<string, RegionWatch>;
  readonly silent: Set<string>;
  readonly watchers: Set<OpenWatcher>;
  linger: NodeJS.Timeout | undefined;
}

export interface WatchesOptions {
  readonly rib: Rib;
  readonly config: RouterConfig;
  readonly isOff: () => boolean;
}

export class Watches {
  readonly #options: WatchesOptions;
  readonly #byApp = new Map<string, Watched>();
  /** With those who wait for their first snapshot. */
  #watchers = 0;
  #isClosed = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    options.rib.follow((app) => {
      const watched = this.#byApp.get(app);
      if (watched !== undefined) this.#followRegions(watched);
    });
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** `from` is the token of the last event seen. Throws `too-many`, `switched-off` and, at the end, `not-ready`. */
  async open(app: string, from: string | undefined): Promise<Watcher> {
    this.#checkOpen();
    const watched = this.#byApp.get(app) ?? this.#watch(app);
    this.#watchers++;
    clearTimeout(watched.linger);
    await firstWord(watched);
    if (this.#byApp.get(app) !== watched) {
      // It has ended meanwhile, and nobody hears anything of it any more.
      this.#watchers--;
      return this.open(app, from);
    }
    clearTimeout(watched.linger); // Another may have come and gone meanwhile.
    const watcher = new OpenWatcher(watched.watch, () => this.#leave(watched, watcher));
    watcher.push(...watched.watch.since(from));
    watched.watchers.add(watcher);
    return watcher;
  }

  close(): void {
    this.#isClosed = true;
    for (const watched of this.#byApp.values()) this.#end(watched);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new AppError("not-ready", "this router is stopping", { hint: ASK_ANOTHER });
    if (this.#options.isOff()) {
      throw new AppError("switched-off", "watching is switched off at this router", { hint: ASK_ANOTHER });
    }
    if (this.#watchers >= WATCHERS_MAX) {
      throw new AppError("too-many", `${WATCHERS_MAX} watches are open here`, { hint: ASK_ANOTHER });
    }
  }

  #watch(app: string): Watched {
    if (this.#byApp.size >= APPS_MAX) {
      throw new AppError("too-many", `${APPS_MAX} apps are watched here`, { hint: ASK_ANOTHER });
    }
    const watch = new AppWatch(app, newCounter().toString(36), defaultWatchConfig);
    const watched: Watched = { watch, regions: new Map(), silent: new Set(), watchers: new Set(), linger: undefined };
    this.#byApp.set(app, watched);
    this.#followRegions(watched);
    return watched;
  }

  #followRegions(watched: Watched): void {
    const { rib, config } = this.#options;
    const { app } = watched.watch;
    const wanted = new Set(rib.fib.lookup(app).map(({ region }) => region));
    for (const [region, following] of watched.regions) {
      if (wanted.has(region)) continue;
      following.close();
      watched.regions.delete(region);
      watched.silent.delete(region);
      this.#tell(watched, region, undefined);
    }
    for (const region of wanted) {
      if (watched.regions.has(region)) continue;
      watched.silent.add(region);
      const following = new RegionWatch({
        app,
        region,
        config,
        stateOf: () => rib.regions.get(region),
        routeOf: () => rib.fib.lookup(app).find((route) => route.region === region),
        onState: (state) => this.#tell(watched, region, state),
      });
      watched.regions.set(region, following);
    }
  }

  #tell({ watch, silent, watchers }: Watched, region: string, state: PlacedRegion | undefined): void {
    silent.delete(region);
    const change = watch.set(region, state);
    if (change !== undefined) for (const watcher of watchers) watcher.push(change);
  }

  #leave(watched: Watched, watcher: OpenWatcher): void {
    if (!watched.watchers.delete(watcher)) return;
    this.#watchers--;
    if (watched.watchers.size === 0) watched.linger = setTimeout(() => this.#end(watched), LINGER_MS);
  }

  #end(watched: Watched): void {
    clearTimeout(watched.linger);
    this.#byApp.delete(watched.watch.app);
    for (const following of watched.regions.values()) following.close();
    for (const watcher of [...watched.watchers]) watcher.close();
  }
}

class OpenWatcher implements Watcher {
  readonly #watch: AppWatch;
  readonly #onClose: () => void;
  readonly #queue = new WatcherQueue(defaultWatchConfig);
  #isClosed = false;
  #wake: (() => void) | undefined;

  constructor(watch: AppWatch, onClose: () => void) {
    this.#watch = watch;
    this.#onClose = onClose;
  }

  push(...events: readonly WatchEvent[]): void {
    this.#queue.push(...events);
    this.#wake?.();
  }

  async next(): Promise<readonly WatchEvent[]> {
    while (this.#queue.isEmpty && !this.#isClosed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#isClosed ? [] : this.#queue.take(() => this.#watch.snapshot());
  }

  close(): void {
    this.#isClosed = true;
    this.#wake?.();
    this.#onClose();
  }
}

/** Until every region has said something, or has had its time. */
async function firstWord({ silent }: Watched): Promise<void> {
  for (let waitedMs = 0; silent.size > 0 && waitedMs < FIRST_WORD_MS; waitedMs += 10) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
