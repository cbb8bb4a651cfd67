/** What an operator sees: each step counted once under bounded labels, gauges as of the scrape, and a line for what matters. */
import { AppError, type Change, Ranges } from "@patina/base";
import type { AgentEvent, Effect } from "@patina/agent";
import { Registry } from "prom-client";
import { beforeEach, describe, expect, test } from "vitest";
import { type Logger, logEvent } from "./log.js";
import { AgentMetrics } from "./metrics.js";
import { RouterMetrics } from "./router-metrics.js";

const member = { nodeId: "0a".repeat(16), boot: 1, incarnation: 2, address: "h:1", meta: { api: "" }, state: "suspect" } as const; // prettier-ignore
const change: Change = { origin: "0b".repeat(24), version: 3, hlc: 1n, body: new Uint8Array() };
const events: AgentEvent[] = [
  { kind: "member", member, previous: "alive" },
  { kind: "changed", source: "remote", rows: Array.from({ length: 3 }, () => ({ table: "t", key: [], kind: "upsert", appBefore: undefined, app: undefined })) }, // prettier-ignore
  { kind: "quarantined", change, reason: "why" },
  { kind: "fenced", table: "t", key: ["m"], origin: "0c".repeat(24), version: 5, owner: "w", epoch: 2, isOurs: true },
  { kind: "fenced", table: "t", key: ["m"], origin: "0d".repeat(24), version: 6, owner: "w", epoch: 2, isOurs: false },
  { kind: "doubtful", table: "t", key: [1n], epoch: 2, owner: "w", other: undefined },
  { kind: "divergence", peer: "p", ours: "1", theirs: "2" },
  { kind: "synced", peer: "p" },
  { kind: "peer-lagging", peer: "p" },
  { kind: "refused", from: "h:9", reason: "cluster fra is not ours", code: "foreign-cluster" },
  { kind: "store-failed", error: new AppError("store-failed", "disk full") },
];

describe("metrics", () => {
  const agent = {
    members: () => [member, { ...member, state: "dead" as const }, { ...member, state: "dead" as const }],
    reachable: () => ["p"],
    hasSynced: false,
    parkedBytes: 77,
    stableRounds: 3,
  };
  const membership = () => ({ localHealth: 2, sentBytes: 7 });
  const held = new Map([["o1", { gaps: Ranges.of(2, 4) }], ["o2", { gaps: Ranges.of(9, 9) }]]); // prettier-ignore
  const store = { quarantinedCount: () => 5, isWhole: true, owners: { doubtfulCount: () => 4 }, holdings: () => held };
  let metrics: AgentMetrics;
  beforeEach(() => {
    metrics = new AgentMetrics({
      cluster: { name: "iad", generation: 3 },
      role: "regional",
      version: "1",
      agent,
      membership,
      store,
    });
  });

  async function value(line: string): Promise<number | undefined> {
    const found = (await metrics.text()).split("\n").find((it) => it.startsWith(`${line} `));
    return found === undefined ? undefined : Number(found.slice(line.length + 1));
  }

  test("certificates and keys of a secured agent are as of the scrape, and nothing is said of them in plaintext", async () => {
    const status = {
      memberExpiresMs: 5000,
      authorityExpiresMs: 9000,
      sealingEpoch: 2,
      newestEpoch: 3,
      areFilesGood: false,
    };
    expect(await value('patina_key_epoch{key="sealing"}')).toBeUndefined();
    const cluster = { name: "iad", generation: 3 };
    const security = { status: () => status };
    metrics = new AgentMetrics({ cluster, role: "regional", version: "1", agent, membership, store, security });
    expect(await value('patina_certificate_expires_timestamp_seconds{of="member"}')).toBe(5);
    expect(await value('patina_certificate_expires_timestamp_seconds{of="authority"}')).toBe(9);
    expect(await value('patina_key_epoch{key="sealing"}')).toBe(2);
    expect(await value('patina_key_epoch{key="newest"}')).toBe(3);
    expect(await value("patina_security_files_good")).toBe(0);
  });

  test("inputs, effects, events and bytes are counted by kind", async () => {
    const sends: Effect[] = [
      { kind: "send", stream: "s", bytes: new Uint8Array(10) },
      { kind: "send", stream: "s", bytes: new Uint8Array(5) },
      { kind: "outcome", ticket: 1, outcome: { ok: true, rowsAffected: [], change: undefined, rows: [] } },
      { kind: "outcome", ticket: 2, outcome: { ok: false, error: new AppError("sql-error", "no") } },
    ];
    metrics.observe({ kind: "start" }, [...sends, ...events.map((event): Effect => ({ kind: "event", event }))]);
    metrics.observe({ kind: "start" }, []);
    metrics.observe({ kind: "refused", transport: "datagram", from: "h:9", reason: "replayed", times: 3 }, []);
    expect(await value('patina_refused_total{transport="datagram",reason="replayed"}')).toBe(3);
    expect(await value('patina_refused_total{transport="stream",reason="foreign-cluster"}')).toBe(1);
    expect(await value('patina_inputs_total{kind="start"}')).toBe(2);
    expect(await value('patina_effects_total{kind="send"}')).toBe(2);
    expect(await value('patina_sent_bytes_total{transport="stream"}')).toBe(15);
    expect(await value('patina_sent_bytes_total{transport="udp"}')).toBe(7);
    expect(await value('patina_writes_total{result="ok"}')).toBe(1);
    expect(await value('patina_writes_total{result="sql-error"}')).toBe(1);
    expect(await value('patina_rows_changed_total{source="remote"}')).toBe(3);
    expect(await value("patina_divergence_total")).toBe(1);
    expect(await value('patina_fenced_writes_total{writer="self"}')).toBe(1);
    expect(await value('patina_fenced_writes_total{writer="other"}')).toBe(1);
    expect(await value("patina_doubtful_rows_total")).toBe(1);
    expect(await value("patina_doubtful_rows")).toBe(4);
    for (const { kind } of events)
      expect(await value(`patina_events_total{kind="${kind}"}`)).toBe(events.filter((it) => it.kind === kind).length);
  });

  test("divergence is there at 0 from the start, so that an alarm on it can tell 0 from absent", async () => {
    expect(await value("patina_divergence_total")).toBe(0);
  });

  test("gauges are read from the state at each scrape", async () => {
    expect(await value('patina_members{state="dead"}')).toBe(2);
    expect(await value('patina_members{state="alive"}')).toBe(0);
    expect(await value("patina_gap_versions")).toBe(4);
    expect(await value("patina_origins")).toBe(2);
    expect(await value("patina_quarantined_changes")).toBe(5);
    expect(await value("patina_parked_bytes")).toBe(77);
    expect(await value("patina_stable_rounds")).toBe(3);
    expect(await value("patina_whole")).toBe(1);
    expect(await value("patina_synced")).toBe(0);
    expect(await value("patina_local_health")).toBe(2);
    held.set("o3", { gaps: Ranges.of(1, 100) });
    expect(await value("patina_gap_versions")).toBe(104);
    held.delete("o3");
    expect(await metrics.text()).toContain('patina_info{cluster="iad",generation="3",role="regional",version="1"} 1');
  });

  test("no label carries a node, an origin or a reason: their number has no bound", async () => {
    metrics.observe({ kind: "start" }, events.map((event): Effect => ({ kind: "event", event }))); // prettier-ignore
    const text = await metrics.text();
    for (const word of [member.nodeId, change.origin, "fra", "h:9"]) expect(text).not.toContain(word);
  });
});

test("each event has the level of what it means: routine is silent, a lost database is fatal", () => {
  const lines: string[] = [];
  const level = (name: string) => (fields: object, message: string) => lines.push(`${name}: ${message} ${Object.keys(fields).length}`); // prettier-ignore
  const names = ["debug", "info", "warn", "error", "fatal"];
  const log = Object.fromEntries(names.map((name) => [name, level(name)])) as unknown as Logger;
  for (const event of events) logEvent(log, event);
  expect(lines.map((it) => it.replace(/ \d+$/, ""))).toEqual([
    "info: member is suspect",
    "warn: a change could not be applied and was put aside",
    "warn: a write of ours lost to another owner: stop what this row stands for",
    "debug: a late write lost to its row's new owner",
    "warn: two workers claim a row in one epoch",
    "error: equal holdings, unequal digests",
    "debug: peer-lagging",
    "debug: refused",
    "fatal: the database cannot take writes",
  ]);
});

test("regions are counted by grade at each scrape", async () => {
  const registry = new Registry();
  const counts = { fresh: 2, stale: 0, expired: 1 };
  new RouterMetrics(registry, { apps: () => 0, quarantined: () => 0, watchers: () => 0 }).watchRegions(() => counts);
  counts.stale = 3;
  const text = await registry.metrics();
  for (const [grade, regions] of Object.entries(counts)) {
    expect(text).toContain(`patina_regions{grade="${grade}"} ${regions}\n`);
  }
});
