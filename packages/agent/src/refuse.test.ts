/** Who is not let in, and that refusing it is all that happens: the stream closes, it is counted, no state changes. */
import {
  type ApplyOutcome,
  type Change,
  type ClusterId,
  type EmptyVersions,
  heldVersions,
  holdAlso,
  type Holding,
  NO_HOLDING,
  type NodeId,
  type OriginId,
  Ranges,
  Rng,
} from "@patina/base";
import { decodeFrame, encodeFrame, type Frame, PROTOCOL } from "@patina/gossip";
import { beforeEach, describe, expect, test } from "vitest";
import { Agent } from "./agent.js";
import { testAgentConfig as config } from "./config.js";
import type { StorePort } from "./ports.js";
import { ModelStore } from "./testing/model-store.js";
import type { AgentEvent, Effect } from "./protocol.js";

const cluster: ClusterId = { name: "iad", generation: 1 };
const WALL_MS = 1_700_000_000_000;
const idOf = (n: number): NodeId => n.toString(16).padStart(32, "0");
const originOf = (n: number): OriginId => idOf(n) + "0".repeat(16);
const refusals = (events: readonly AgentEvent[]): string[] =>
  events.flatMap((it) => (it.kind === "refused" ? [it.reason] : []));

/** Holds whatever it is given, and remembers it. */
class CountingStore implements StorePort {
  readonly origin = originOf(1);
  readonly cluster = cluster;
  readonly applied: Change[] = [];
  readonly #holdings = new Map<OriginId, Holding>();

  commit(): [] {
    return [];
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ApplyOutcome {
    this.applied.push(...changes);
    for (const { origin, version } of changes) this.#hold(origin, Ranges.of(version, version));
    for (const { origin, versions } of empties) this.#hold(origin, versions);
    return { applied: changes.length, quarantined: [], forked: [], rows: [], conflicts: [] };
  }

  holdings(): ReadonlyMap<OriginId, Holding> {
    return this.#holdings;
  }

  extract(origin: OriginId, wanted: Ranges): { changes: Change[]; empty: Ranges } {
    return { changes: [], empty: wanted.intersect(heldVersions(this.#holdings.get(origin) ?? NO_HOLDING)) };
  }

  highWater(): bigint {
    return 0n;
  }

  basis(): ReadonlyMap<OriginId, number> {
    return new Map([...this.#holdings].map(([origin, { head }]) => [origin, head]));
  }

  snapshot(): { changes: Change[]; next: undefined } {
    return { changes: [], next: undefined };
  }

  join(): ApplyOutcome {
    return { applied: 0, quarantined: [], forked: [], rows: [], conflicts: [] };
  }

  quarantinedIn(): Ranges {
    return Ranges.empty;
  }

  readonly members = new ModelStore(1).members;
  readonly debts = new ModelStore(1).debts;
  readonly isWhole = true;
  readonly isDurable = true;
  makeDurable(): void {}
  noteStable(): void {}

  comparableDigest(): string {
    return this.digest();
  }

  digest(): string {
    return "0".repeat(64);
  }

  #hold(origin: OriginId, versions: Ranges): void {
    this.#holdings.set(origin, holdAlso(this.#holdings.get(origin) ?? NO_HOLDING, versions));
  }
}

describe("what is refused changes nothing", () => {
  const now = { monotonicMs: 0, wallMs: WALL_MS };
  const body = new Uint8Array(Buffer.from("k=v"));
  const changes: Frame = { kind: "changes", changes: [{ origin: originOf(9), version: 1, hlc: 1n, body }] };
  const hello = { kind: "hello", protocol: PROTOCOL, cluster, node: idOf(9) } as const;

  function events(effects: readonly Effect[]): AgentEvent[] {
    return effects.flatMap((it) => (it.kind === "event" ? [it.event] : []));
  }

  let store: CountingStore;
  let agent: Agent;
  beforeEach(() => {
    store = new CountingStore();
    agent = new Agent({ cluster, node: idOf(1), hasSeeds: false, store, config, rng: new Rng(1) });
    agent.handle({ kind: "start" }, now);
    agent.handle({ kind: "stream-opened", stream: "in-1", direction: "in" }, now);
  });

  function feed(...frames: (Frame | Uint8Array)[]): Effect[] {
    return frames.flatMap((frame) => {
      const bytes = frame instanceof Uint8Array ? frame : encodeFrame(frame);
      return agent.handle({ kind: "stream-frame", stream: "in-1", bytes }, now);
    });
  }

  test("each under a code of its own, for counting", () => {
    const frames = [encodeFrame({ ...hello, cluster: { name: "fra", generation: 1 } }), encodeFrame(changes)];
    const told = events(feed(...frames, new Uint8Array([120, 1, 2]), hello, hello));
    const codes = told.flatMap((it) => (it.kind === "refused" ? [it.code] : []));
    expect(codes).toEqual(["foreign-cluster", "no-greeting", "malformed-frame", "second-greeting"]);
  });

  test.each<[string, Frame | Uint8Array, string]>([
    ["another cluster", { ...hello, cluster: { name: "fra", generation: 1 } }, "cluster fra generation 1 is not ours"],
    [
      "another generation",
      { ...hello, cluster: { name: "iad", generation: 2 } },
      "cluster iad generation 2 is not ours",
    ],
    [
      "another protocol",
      { ...hello, protocol: { oldest: 98, newest: 99 } },
      "it speaks protocols 98 to 99, and this member protocol 1",
    ],
    ["a frame before any greeting", changes, "a changes frame before any greeting"],
    ["garbage", new Uint8Array([120, 1, 2]), "malformed: unknown frame type"],
  ])("%s: the stream is closed, it is counted, and nothing after it is taken", (_, frame, reason) => {
    const effects = feed(frame, changes, { kind: "holdings", holdings: new Map(), isReply: false, isDurable: true });
    expect(effects[0]).toEqual({ kind: "close-stream", stream: "in-1", reason });
    expect(refusals(events(effects))[0]).toBe(reason);
    expect(effects.filter(({ kind }) => kind === "send")).toEqual([]);
    expect([store.applied, agent.reachable(), store.holdings().size]).toEqual([[], [], 0]);
  });

  test("garbage from a member closes its stream and keeps what it said before", () => {
    const effects = feed(hello, changes, new Uint8Array([1, 255, 255, 3]));
    expect(store.applied.length).toBe(1);
    expect(effects.at(-2)).toMatchObject({ kind: "close-stream", stream: "in-1" });
    expect(refusals(events(effects)).length).toBe(1);
  });

  test("nobody else writes this node's versions: neither changes nor empty ranges of its own are taken", () => {
    const own = originOf(1);
    feed(
      hello,
      { kind: "changes", changes: [{ origin: own, version: 1, hlc: 1n, body }] },
      { kind: "empty", empties: [{ origin: own, versions: Ranges.of(1, 50) }] },
    );
    expect([store.applied.length, store.holdings().size, agent.parkedBytes]).toEqual([0, 0, 0]);
  });

  test("changes that come twice are applied once", () => {
    feed(hello, changes, changes, changes);
    expect(store.applied.length).toBe(1);
  });

  test("a member that was given up is not asked for what would not be taken from it", () => {
    const held = new Map([[originOf(9), { head: 5, gaps: Ranges.empty }]]);
    const kindsAsked = (): string[] =>
      feed({ kind: "holdings", holdings: held, isReply: true, isDurable: true }).flatMap((it) =>
        it.kind === "send" ? [decodeFrame(it.bytes, config.gossip).kind] : [],
      );
    feed(hello);
    Object.assign(store, { members: { ...store.members, isNodeEvicted: () => true, isEvicted: () => true } });
    expect(kindsAsked()).toEqual([]);
    Object.assign(store, { members: { ...store.members, isNodeEvicted: () => false } });
    expect(kindsAsked()).toEqual(["want"]);
  });

  test("a want for everything is answered up to the limit, and says that it is not complete", () => {
    const everything = { origin: originOf(7), versions: Ranges.of(1, 2 ** 50) };
    store.apply([], [everything]);
    const answers = feed(hello, { kind: "want", wants: [everything] })
      .flatMap((it) => (it.kind === "send" ? [decodeFrame(it.bytes, config.gossip)] : []))
      .slice(-2);
    expect(answers).toEqual([
      { kind: "empty", empties: [{ origin: originOf(7), versions: Ranges.of(1, config.gossip.wantVersionsMax) }] },
      { kind: "repaired", isComplete: false },
    ]);
  });
});
