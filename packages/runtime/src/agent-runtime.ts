/**
 * Drives one agent in this process: its membership's thread, streams, timers and clock around the pure step function. It
 * turns what happens into inputs and effects into what happens, in order, and decides nothing else than how many writes
 * that arrived together go into one step.
 */
import { AppError, asAppError, must, Rng, type Write, type WriteOutcome } from "@patina/base";
import { Agent, type AgentConfig, type AgentEvent, type Effect, type Input, type Ticketed } from "@patina/agent";
import type { Member } from "@patina/membership";
import type { Credentials, Security, SealerOptions } from "@patina/security";
import type { BucketRow, QuarantineCursor, Repaired, SqliteStore } from "@patina/store";
import { systemNow } from "./clock.js";
import type { DataDir } from "./data-dir.js";
import { newCounter, newSeed } from "./entropy.js";
import { BlackBox } from "./membership/black-box.js";
import type { MembershipStatus } from "./membership/protocol.js";
import { type MembershipListener, MembershipThread } from "./membership/thread.js";
import { defaultWatchdogConfig, type WatchdogConfig } from "./membership/watchdog.js";
import { type StreamEvents, Streams } from "./streams.js";

export interface AgentRuntimeOptions {
  readonly dataDir: DataDir;
  readonly store: SqliteStore;
  readonly gossip: { readonly address: string; readonly advertise: string; readonly seeds: readonly string[] };
  /** Where others find this node's HTTP API. */
  readonly api: string;
  readonly config: AgentConfig;
  /** Seals datagrams and guards streams. Without it members speak plaintext. */
  readonly security?: Security;
  /** Where this thread notes what it is at; the store may have been given the same. */
  readonly blackBox?: BlackBox;
  readonly watchdog?: WatchdogConfig;
}

/** Writes waiting for their turn beyond which new ones are refused: the disk is slower than the callers. */
const WRITES_QUEUED_MAX = 4096;
/** Writes in one transaction: enough to share a sync to disk, few enough not to hold the thread. */
const WRITES_PER_GROUP = 256;
/** Twice the members a cluster may have: replays of senders that were forgotten would pass. */
const SENDERS_REMEMBERED = 10_000;
const REMEMBER_PEERS_EVERY_MS = 30_000;
/** Log entries swept at a time, some two milliseconds of work, and how often: four thousand a second at most. */
const MAINTAIN_ENTRIES = 200;
const MAINTAIN_EVERY_MS = 50;

export type AgentListener = (event: AgentEvent) => void;
/** Sees every step: for metrics, never for decisions. */
export type StepObserver = (input: Input, effects: readonly Effect[]) => void;

export class AgentRuntime {
  readonly store: SqliteStore;
  readonly #dataDir: DataDir;
  readonly #agent: Agent;
  readonly #listeners = new Set<AgentListener>();
  readonly #observers = new Set<StepObserver>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #queued: Ticketed[] = [];
  readonly #waiting = new Map<number, (outcome: WriteOutcome) => void>();
  readonly #blackBox: BlackBox;
  #membership: MembershipThread | undefined;
  #streams: Streams | undefined;
  #tickets = 0;
  #isCommitScheduled = false;
  #isStopped = false;

  private constructor({ dataDir, store, gossip, config, blackBox = new BlackBox() }: AgentRuntimeOptions) {
    this.store = store;
    this.#dataDir = dataDir;
    this.#blackBox = blackBox;
    const node = dataDir.identity.nodeId;
    const hasSeeds = seedsOf(gossip).length > 0;
    this.#agent = new Agent({ cluster: store.cluster, node, hasSeeds, store, config, rng: new Rng(newSeed()) });
  }

  /** Listens and joins. Throws `port-in-use` or `config-invalid` when an address cannot be had. */
  static async start(options: AgentRuntimeOptions): Promise<AgentRuntime> {
    const runtime = new AgentRuntime(options);
    runtime.#streams = await runtime.#openStreams(options.gossip.address, options.security?.credentials);
    try {
      runtime.#membership = await startMembership(options, runtime.#blackBox, {
        onInput: (input) => runtime.#step(input),
        onEvent: (event) => runtime.#emit(event),
      });
    } catch (thrown) {
      await runtime.#streams.stop();
      throw thrown;
    }
    runtime.#step({ kind: "start" });
    runtime.#rememberPeers();
    runtime.#maintainStore();
    return runtime;
  }

  /** What this node's membership knows of itself. */
  get membership(): MembershipStatus {
    return must(this.#membership, "a membership").status;
  }

  get agent(): Pick<Agent, "members" | "reachable" | "hasSynced" | "parkedBytes" | "stableRounds"> {
    return this.#agent;
  }

  members(): readonly Member[] {
    return this.#agent.members();
  }

  /** Seals with these keys and dials and listens with these certificates from now on. Open streams stay. */
  replaceSecurity({ credentials, keyring }: Security): void {
    this.#membership?.replaceKeys(keyring);
    this.#streams?.replaceCredentials(credentials);
  }

  onEvent(listener: AgentListener): void {
    this.#listeners.add(listener);
  }

  observe(observer: StepObserver): void {
    this.#observers.add(observer);
  }

  /**
   * One transaction, durable when this resolves. Those that arrive together share one commit. Rejects with `too-many`
   * when the queue is full, and with `not-ready` after the stop.
   */
  async write(write: Write): Promise<WriteOutcome> {
    if (this.#isStopped) throw new AppError("not-ready", "the agent is stopping", { hint: "Write to another agent." });
    if (this.#waiting.size >= WRITES_QUEUED_MAX) {
      throw new AppError("too-many", `${WRITES_QUEUED_MAX} writes are waiting already`, { hint: "Retry more slowly." });
    }
    const ticket = ++this.#tickets;
    const outcome = new Promise<WriteOutcome>((resolve) => this.#waiting.set(ticket, resolve));
    this.#queued.push({ ticket, write });
    this.#scheduleCommit();
    return outcome;
  }

  /**
   * Tries every quarantined change again, a few at a time with all else in between, and tells of the rows that came of
   * it. Throws `store-busy`, and `store-failed` as a write does.
   */
  async retryQuarantined(): Promise<{ applied: number; remaining: number }> {
    let applied = 0;
    let at: QuarantineCursor | undefined;
    do {
      const { outcome, next } = this.#orThrow(() => this.store.retryQuarantined(at));
      applied += outcome.applied;
      at = next;
      if (outcome.rows.length > 0) this.#emit({ kind: "changed", source: "remote", rows: outcome.rows });
      for (const conflict of outcome.conflicts) this.#emit(conflict);
      await new Promise((resolve) => setImmediate(resolve));
    } while (at !== undefined && !this.#isStopped);
    return { applied, remaining: this.#isStopped ? 0 : this.store.quarantinedCount() };
  }

  /** Gives a quarantined change up; false when it is not there. Throws `store-busy`, and `store-failed` as a write does. */
  discardQuarantined(change: QuarantineCursor): boolean {
    return this.#orThrow(() => this.store.discardQuarantined(change));
  }

  /** Puts a bucket right from a peer's copy of it, and tells whoever watches its rows. */
  repair(table: string, mine: readonly BucketRow[], theirs: readonly BucketRow[]): Repaired {
    const repaired = this.#orThrow(() => this.store.repairs.repair(table, mine, theirs));
    if (repaired.rows.length > 0) this.#emit({ kind: "changed", source: "remote", rows: repaired.rows });
    return repaired;
  }

  /** Says goodbye to the cluster, finishes what was accepted, and closes everything it opened but the store. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    while (this.#queued.length > 0) this.#commitQueued();
    this.#dataDir.rememberPeers(this.#agent.members());
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#membership?.leave();
    await this.#streams?.stop();
  }

  async #openStreams(address: string, credentials: Credentials | undefined): Promise<Streams> {
    const events: StreamEvents = {
      onOpened: (stream, direction, node) => {
        this.#step({ kind: "stream-opened", stream, direction, ...(node === undefined ? {} : { node }) });
      },
      onFrame: (stream, bytes) => this.#step({ kind: "stream-frame", stream, bytes }),
      onFlushed: (stream, bytes) => this.#step({ kind: "stream-flushed", stream, bytes }),
      onClosed: (stream, reason, isRefused) => this.#step({ kind: "stream-closed", stream, reason, isRefused }),
      onRefused: (from, reason) => this.#step({ kind: "refused", transport: "stream", from, reason, times: 1 }),
    };
    return Streams.open(address, events, credentials);
  }

  #scheduleCommit(): void {
    if (this.#isCommitScheduled) return;
    this.#isCommitScheduled = true;
    setImmediate(() => {
      this.#isCommitScheduled = false;
      this.#commitQueued();
      if (this.#queued.length > 0) this.#scheduleCommit();
    });
  }

  #commitQueued(): void {
    const writes = this.#queued.splice(0, WRITES_PER_GROUP);
    if (writes.length > 0 && !this.#isStopped) this.#step({ kind: "write", writes });
  }

  #step(input: Input): void {
    if (this.#isStopped) return;
    this.#noteStep(input);
    const effects = this.#agent.handle(input, systemNow());
    for (const effect of effects) this.#perform(effect);
    for (const observer of this.#observers) observer(input, effects);
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case "heard":
      case "unreachable":
        return this.#membership?.tell(effect);
      case "open-stream":
        return this.#streams?.dial(effect.stream, effect.node, effect.address);
      case "send":
        return this.#streams?.send(effect.stream, effect.bytes);
      case "close-stream":
        return this.#streams?.close(effect.stream);
      case "wake":
        return this.#after(effect.afterMs, () => this.#step({ kind: "wake", timer: effect.timer }));
      case "outcome":
        this.#waiting.get(effect.ticket)?.(effect.outcome);
        this.#waiting.delete(effect.ticket);
        return;
      case "event":
        return this.#emit(effect.event);
    }
  }

  #noteStep(input: Input): void {
    if (input.kind === "stream-frame") this.#blackBox.noteStep(`frame of ${input.stream}`, input.bytes);
    else this.#blackBox.noteStep(input.kind === "wake" ? `wake: ${input.timer.kind}` : input.kind);
  }

  #emit(event: AgentEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #after(delayMs: number, work: () => void): void {
    // A timer takes a millisecond at least: of a flood's slices, each would wait for one.
    if (delayMs === 0) return void setImmediate(work);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }

  /** Work on the disk that no caller waits for: a failure ends the process in the same way as a failed write. */
  #orFail(work: () => unknown): void {
    try {
      this.#orThrow(work);
    } catch (thrown) {
      // A busy store is tried again soon, and a failed one has been told of.
      if (!(thrown instanceof AppError)) throw thrown;
    }
  }

  #orThrow<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      const error = asAppError(thrown, "store-failed");
      if (error.code !== "store-busy") this.#emit({ kind: "store-failed", error });
      throw error;
    }
  }

  #maintainStore(): void {
    this.#after(MAINTAIN_EVERY_MS, () => {
      this.#orFail(() => this.store.maintain(MAINTAIN_ENTRIES));
      this.#maintainStore();
    });
  }

  #rememberPeers(): void {
    this.#after(REMEMBER_PEERS_EVERY_MS, () => {
      this.#orFail(() => this.#dataDir.rememberPeers(this.#agent.members()));
      this.#rememberPeers();
    });
  }
}

async function startMembership(
  options: AgentRuntimeOptions,
  blackBox: BlackBox,
  listener: MembershipListener,
): Promise<MembershipThread> {
  const { dataDir, store, gossip, api, config, watchdog = defaultWatchdogConfig } = options;
  return MembershipThread.start(
    {
      cluster: store.cluster,
      self: { ...dataDir.identity, address: gossip.advertise, meta: { api } },
      seeds: seedsOf(gossip),
      remembered: dataDir.rememberedPeers(),
      config: config.membership,
      address: gossip.address,
      seal: sealOf(options),
      randomSeed: newSeed(),
      watchdog,
      recordDir: dataDir.path,
    },
    blackBox,
    listener,
  );
}

function sealOf({ dataDir, store, config, security }: AgentRuntimeOptions): SealerOptions | undefined {
  if (security === undefined) return undefined;
  const { nodeId: node, boot } = dataDir.identity;
  return {
    cluster: store.cluster,
    node,
    boot,
    keyring: security.keyring,
    firstCounter: newCounter(),
    sendersMax: SENDERS_REMEMBERED,
    bootAheadMs: config.membership.bootAheadMs,
  };
}

function seedsOf({ seeds, advertise }: AgentRuntimeOptions["gossip"]): string[] {
  return seeds.filter((seed) => seed !== advertise);
}
