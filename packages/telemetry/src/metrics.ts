/**
 * Prometheus metrics of one agent. Steps are counted from the outside, as (input, effects); gauges are read from state
 * when scraped. Labels are bounded: kinds and states, never nodes, tables or SQL.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Agent, AgentEvent, Effect, Input } from "@patina/agent";
import { Counter, Gauge, Registry } from "prom-client";

export interface MetricsSources {
  readonly cluster: { readonly name: string; readonly generation: number };
  readonly role: "regional" | "global";
  readonly version: string;
  readonly agent: Pick<Agent, "members" | "reachable" | "hasSynced" | "parkedBytes" | "stableRounds">;
  readonly membership: () => { readonly localHealth: number; readonly sentBytes: number };
  readonly store: {
    quarantinedCount(): number;
    readonly isWhole: boolean;
    readonly owners: { doubtfulCount(): number };
    holdings(): ReadonlyMap<string, { readonly gaps: { readonly size: number } }>;
  };
  /** Where members are secured. */
  readonly security?: { status(): SecurityStatus };
}

export interface SecurityStatus {
  /** When this node's certificate expires, and the first of the authorities it trusts; Unix ms. */
  readonly memberExpiresMs: number;
  readonly authorityExpiresMs: number;
  /** Of the keyring. While they differ, a rotation is under way. */
  readonly sealingEpoch: number;
  readonly newestEpoch: number;
  /** Whether the files could be used when they were last looked at. */
  readonly areFilesGood: boolean;
}

/** How the cluster stands with its checkpoints, as this agent knows it. Seconds; infinite when there never was one. */
export interface CheckpointStanding {
  readonly ageSeconds: number;
  /** How long changes have been waiting for a checkpoint that has them; 0 when there are none. */
  readonly behindSeconds: number;
  /** Since the newest verified base was taken. */
  readonly verifiedAgeSeconds: number;
  /** What this agent's last drill took, if it had one. */
  readonly drillSeconds: number | undefined;
  /** Since the start, by what could not be done. */
  readonly failures: Readonly<Record<string, number>>;
}

export class AgentMetrics {
  readonly registry = new Registry();
  readonly #inputs = this.#counter("patina_inputs_total", "What the agent was told, by kind.", "kind");
  readonly #effects = this.#counter("patina_effects_total", "What the agent asked for, by kind.", "kind");
  readonly #events = this.#counter("patina_events_total", "What happened, by kind.", "kind");
  readonly #sentBytes = this.#counter("patina_sent_bytes_total", "Bytes sent to members, by transport.", "transport");
  readonly #writes = this.#counter("patina_writes_total", "Local transactions, by result.", "result");
  readonly #rows = this.#counter("patina_rows_changed_total", "Rows changed, by where the change came from.", "source");
  readonly #divergence = this.#counter("patina_divergence_total", "Equal holdings with unequal digests. Must stay 0.");
  readonly #fenced = this.#counter(
    "patina_fenced_writes_total",
    "Writes lost to another owner's, by writer.",
    "writer",
  );
  readonly #refused = this.#counter(
    "patina_refused_total",
    "Datagrams and streams that no member of this cluster can have sent or opened, by reason.",
    "transport",
    "reason",
  );
  readonly #doubtful = this.#counter("patina_doubtful_rows_total", "Rows found to have two owners in one epoch.");

  readonly #membership: MetricsSources["membership"];
  #datagramBytes = 0;
  /** Counters that are counted elsewhere. */
  readonly #beforeText: (() => void)[] = [];

  constructor(sources: MetricsSources) {
    this.#membership = sources.membership;
    const { cluster, role, version } = sources;
    const info = { cluster: cluster.name, generation: String(cluster.generation), role, version };
    new Gauge({
      name: "patina_info",
      help: "Which agent this is.",
      labelNames: Object.keys(info),
      registers: [this.registry],
    }).set(info, 1);
    this.#addGauges(sources);
    if (sources.security !== undefined) this.#addSecurityGauges(sources.security);
    this.#addProcessGauges();
    this.#divergence.inc(0);
    this.#doubtful.inc(0);
    for (const writer of ["self", "other"]) this.#fenced.inc({ writer }, 0);
  }

  observe(input: Input, effects: readonly Effect[]): void {
    this.#inputs.inc({ kind: input.kind });
    if (input.kind === "refused") {
      const { transport, reason, times } = input;
      this.#refused.inc({ transport, reason }, times);
    }
    for (const effect of effects) {
      this.#effects.inc({ kind: effect.kind });
      if (effect.kind === "send") this.#sentBytes.inc({ transport: "stream" }, effect.bytes.length);
      else if (effect.kind === "outcome")
        this.#writes.inc({ result: effect.outcome.ok ? "ok" : effect.outcome.error.code });
      else if (effect.kind === "event") this.#onEvent(effect.event);
    }
  }

  async text(): Promise<string> {
    const { sentBytes } = this.#membership(); // Counted in its own thread, which tells now and then.
    this.#sentBytes.inc({ transport: "udp" }, sentBytes - this.#datagramBytes);
    this.#datagramBytes = sentBytes;
    for (const update of this.#beforeText) update();
    return this.registry.metrics();
  }

  /** Where checkpoints are kept. */
  watchCheckpoints(look: () => CheckpointStanding): void {
    const registers = [this.registry];
    const read = (name: string, help: string, value: (standing: CheckpointStanding) => number | undefined): void => {
      new Gauge({ name, help, registers, collect() { const now = value(look()); if (now !== undefined) this.set(now); } }); // prettier-ignore
    };
    read("patina_checkpoint_age_seconds", "Since the cluster's newest checkpoint.", (it) => it.ageSeconds);
    read("patina_checkpoint_behind_seconds", "How long changes wait for one that has them.", (it) => it.behindSeconds);
    read(
      "patina_checkpoint_verified_age_seconds",
      "Since the newest base that was restored.",
      (it) => it.verifiedAgeSeconds,
    );
    read("patina_checkpoint_drill_seconds", "What this agent's last drill took.", (it) => it.drillSeconds);
    const failures = this.#counter(
      "patina_checkpoint_failures_total",
      "What this agent could not do, by work.",
      "work",
    );
    const counted: Record<string, number> = {};
    this.#beforeText.push(() => {
      for (const [work, times] of Object.entries(look().failures)) {
        failures.inc({ work }, times - (counted[work] ?? 0));
        counted[work] = times;
      }
    });
  }

  #onEvent(event: AgentEvent): void {
    this.#events.inc({ kind: event.kind });
    if (event.kind === "refused" && event.code !== undefined) {
      this.#refused.inc({ transport: "stream", reason: event.code });
    }
    if (event.kind === "divergence") this.#divergence.inc();
    if (event.kind === "fenced") this.#fenced.inc({ writer: event.isOurs ? "self" : "other" });
    if (event.kind === "doubtful") this.#doubtful.inc();
    if (event.kind === "changed") this.#rows.inc({ source: event.source }, event.rows.length);
  }

  #addGauges({ agent, membership, store }: MetricsSources): void {
    const registers = [this.registry];
    const states = ["alive", "suspect", "dead", "left"];
    new Gauge({
      name: "patina_members",
      help: "Other members of the cluster, by state.",
      labelNames: ["state"],
      registers,
      collect() {
        for (const state of states)
          this.set({ state }, agent.members().filter((member) => member.state === state).length);
      },
    });
    const read = (name: string, help: string, value: () => number): void => {
      new Gauge({ name, help, registers, collect() { this.set(value()); } }); // prettier-ignore
    };
    read("patina_peers_reachable", "Members with an open stream.", () => agent.reachable().length);
    read("patina_synced", "1 once compared equal with a peer since the start.", () => (agent.hasSynced ? 1 : 0));
    read(
      "patina_local_health",
      "0 is healthy; grows while this node finds itself slow.",
      () => membership().localHealth,
    );
    read("patina_parked_bytes", "Changes waiting for their predecessors.", () => agent.parkedBytes);
    read(
      "patina_stable_rounds",
      "How often since the start it was found what all members hold.",
      () => agent.stableRounds,
    );
    read("patina_quarantined_changes", "Changes that could not be applied.", () => store.quarantinedCount());
    read(
      "patina_whole",
      "1 while everything is held that the rows depend on; at 0 it is no base of a checkpoint, nor compared.",
      () => (store.isWhole ? 1 : 0),
    );
    read("patina_doubtful_rows", "Rows that two owners claim in one epoch.", () => store.owners.doubtfulCount());
    read("patina_origins", "Writers ever heard of.", () => store.holdings().size);
    read("patina_gap_versions", "Versions known to be missing.", () => {
      let gaps = 0;
      for (const holding of store.holdings().values()) gaps += holding.gaps.size;
      return gaps;
    });
  }

  #addSecurityGauges(security: { status(): SecurityStatus }): void {
    const registers = [this.registry];
    new Gauge({
      name: "patina_certificate_expires_timestamp_seconds",
      help: "When the member's certificate expires, and the first of the authorities it trusts.",
      labelNames: ["of"],
      registers,
      collect() {
        const { memberExpiresMs, authorityExpiresMs } = security.status();
        this.set({ of: "member" }, memberExpiresMs / 1000);
        this.set({ of: "authority" }, authorityExpiresMs / 1000);
      },
    });
    new Gauge({
      name: "patina_key_epoch",
      help: "The key that seals datagrams, and the newest that is accepted.",
      labelNames: ["key"],
      registers,
      collect() {
        const { sealingEpoch, newestEpoch } = security.status();
        this.set({ key: "sealing" }, sealingEpoch);
        this.set({ key: "newest" }, newestEpoch);
      },
    });
    new Gauge({
      name: "patina_security_files_good",
      help: "1 unless the files of certificates and keys could not be used when last looked at.",
      registers,
      collect() {
        this.set(security.status().areFilesGood ? 1 : 0);
      },
    });
  }

  #addProcessGauges(): void {
    const registers = [this.registry];
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    new Gauge({
      name: "patina_event_loop_delay_p99_seconds",
      help: "Event loop delay since the last scrape, 99th percentile.",
      registers,
      collect() {
        this.set(delay.count === 0 ? 0 : delay.percentile(99) / 1e9);
        delay.reset();
      },
    });
    new Gauge({
      name: "patina_resident_memory_bytes",
      help: "Resident memory of the process.",
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  #counter<L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
