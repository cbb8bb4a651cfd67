/** Streams to members: who is let in, who is dialed and when again, and what counts as a peer that cannot keep up. */
import type { ClusterId, NodeId } from "@patina/base";
import { decodeFrame, type Frame, PROTOCOL } from "@patina/gossip";
import { beforeEach, describe, expect, test } from "vitest";
import { testAgentConfig } from "./config.js";
import { Links } from "./links.js";
import type { Effect } from "./protocol.js";

/** With room for some frames in every lane. */
const config = {
  ...testAgentConfig,
  peerWindowBytes: 2 << 10,
  laneBytesMax: { control: 16 << 10, urgent: 8 << 10, own: 16 << 10, relayed: 8 << 10, repair: 8 << 10 },
};
type Hello = Extract<Frame, { kind: "hello" }>;
const idOf = (n: number): NodeId => n.toString(16).padStart(32, "0");
const [SELF, PEER, OTHER] = [idOf(1), idOf(2), idOf(3)];
const cluster: ClusterId = { name: "iad", generation: 3 };
const hello = (node: NodeId, change: Partial<Hello> = {}): Hello => {
  return { kind: "hello", protocol: PROTOCOL, cluster, node, ...change };
};
const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind);

let links: Links;
beforeEach(() => {
  links = new Links(SELF, cluster, config);
});

function dial(node: NodeId, address = "b:1"): string {
  const [effect] = links.want(node, address);
  if (effect?.kind !== "open-stream") throw new Error(`not dialed: ${JSON.stringify(effect)}`);
  return effect.stream;
}

function ready(node: NodeId): string {
  const stream = dial(node);
  links.onOpened(stream, "out");
  links.onHello(stream, hello(node));
  return stream;
}

describe("a stream we dial", () => {
  test("greets when it opens and is of use only when the other end has greeted", () => {
    const stream = dial(PEER);
    expect(links.send(PEER, "own", new Uint8Array(1))).toEqual([]);
    const [greeting, ...rest] = links.onOpened(stream, "out");
    expect(rest).toEqual([]);
    expect(greeting?.kind === "send" && decodeFrame(greeting.bytes, config.gossip)).toEqual(hello(SELF));
    expect([links.reachable(), links.nodeOf(stream)]).toEqual([[], undefined]);
    expect(links.onHello(stream, hello(PEER))).toEqual({ effects: [], node: PEER });
    expect([links.reachable(), links.nodeOf(stream)]).toEqual([[PEER], PEER]);
    expect(links.send(PEER, "own", new Uint8Array([7]))).toEqual([
      { kind: "send", stream, bytes: new Uint8Array([7]) },
    ]);
  });

  test("is dialed once however often the member is heard of, and again elsewhere when it moves", () => {
    const stream = dial(PEER, "b:1");
    expect(links.want(PEER, "b:1")).toEqual([]);
    expect(links.redial(PEER)).toEqual([]);
    expect(links.want(PEER, "b:2")).toEqual([{ kind: "close-stream", stream, reason: "member moved" }]);
    expect(kinds(links.onClosed(stream).effects)).toEqual(["wake"]);
    expect(links.redial(PEER)[0]).toMatchObject({ kind: "open-stream", address: "b:2" });
  });

  test("another node at that address is refused, and redialed only after a pause that grows", () => {
    const pauses: number[] = [];
    let stream = dial(PEER);
    for (let i = 0; i < 9; i++) {
      links.onOpened(stream, "out");
      expect(links.onHello(stream, hello(OTHER)).refused?.reason).toBe("another node answers at that address");
      const [wake] = links.onClosed(stream).effects;
      pauses.push(wake?.kind === "wake" ? wake.afterMs : -1);
      const [open] = links.redial(PEER);
      stream = open?.kind === "open-stream" ? open.stream : "";
    }
    const { redialMinMs, redialMaxMs } = config;
    expect(pauses).toEqual(Array.from({ length: 9 }, (_, i) => Math.min(redialMaxMs, redialMinMs * 2 ** i)));
    links.onOpened(stream, "out");
    links.onHello(stream, hello(PEER));
    expect(links.onClosed(stream).effects).toMatchObject([{ kind: "wake", afterMs: redialMinMs }]);
  });

  test("that waits for its redial is dialed at once when the path may be whole again, and no other", () => {
    const stream = dial(PEER);
    ready(OTHER);
    links.onClosed(stream);
    expect(links.redialAll()).toMatchObject([{ kind: "open-stream", node: PEER }, { kind: "wake" }]);
    expect(links.redialAll()).toEqual([]);
  });

  test("has one redial due at a time, even when the member is heard of in between", () => {
    let due = 0;
    let stream = dial(PEER);
    for (let i = 0; i < 5; i++) {
      due += links.onClosed(stream).effects.length;
      stream = dial(PEER); // Suspect, alive, suspect…: each dials at once.
    }
    expect(due).toBe(1);
    expect(links.redial(PEER)).toEqual([]);
    expect(kinds(links.onClosed(stream).effects)).toEqual(["wake"]);
  });

  test("of a member that is gone is closed and not dialed again; when it returns, it starts afresh", () => {
    const stream = ready(PEER);
    expect(links.unwant(PEER)).toEqual([{ kind: "close-stream", stream, reason: "member gone" }]);
    expect(links.onClosed(stream)).toEqual({ effects: [], node: PEER });
    expect(links.redial(PEER)).toEqual([]);
    expect(links.reachable()).toEqual([]);
    const again = dial(PEER);
    expect(links.onClosed(again).effects).toMatchObject([{ kind: "wake", afterMs: config.redialMinMs }]);
  });

  test("that is never greeted is closed when its time is up, and redialed; one that was is left alone", () => {
    const [, wake] = links.want(PEER, "b:1");
    expect(wake).toEqual({ kind: "wake", afterMs: config.greetingTimeoutMs, timer: { kind: "greeting", stream: "out-1" } }); // prettier-ignore
    expect(links.onGreetingDue("out-1")).toEqual([{ kind: "close-stream", stream: "out-1", reason: "no greeting" }]);
    expect(kinds(links.onClosed("out-1").effects)).toEqual(["wake"]);
    expect(links.onGreetingDue("out-1")).toEqual([]);
    const stream = ready(OTHER);
    expect(links.onGreetingDue(stream)).toEqual([]);
  });

  test("that opens after nobody wants it any more is closed", () => {
    expect(links.onOpened("out-99", "out")).toEqual([{ kind: "close-stream", stream: "out-99", reason: "unwanted" }]);
  });
});

describe("a stream that comes in", () => {
  test("is greeted back only after it greeted, and answers go out on it while there is no other", () => {
    expect(kinds(links.onOpened("in-1", "in"))).toEqual(["wake"]);
    const { effects, node } = links.onHello("in-1", hello(PEER));
    expect([kinds(effects), node, links.reachable()]).toEqual([["send"], PEER, [PEER]]);
    expect(links.send(PEER, "own", new Uint8Array(1))).toMatchObject([{ stream: "in-1" }]);
    const out = ready(PEER);
    expect(links.send(PEER, "own", new Uint8Array(1))).toMatchObject([{ stream: out }]);
    expect(links.reachable()).toEqual([PEER]);
    links.onClosed(out);
    expect(links.reachable()).toEqual([PEER]);
    expect(links.onClosed("in-1")).toEqual({ effects: [], node: PEER }); // Whoever dialed, redials.
    expect(links.reachable()).toEqual([]);
  });

  test.each<[string, string, Hello]>([
    [
      "other-release",
      "it speaks protocols 98 to 99, and this member protocol 1",
      hello(PEER, { protocol: { oldest: 98, newest: 99 } }),
    ],
    [
      "other-release",
      "it speaks protocol 0, and this member protocol 1",
      hello(PEER, { protocol: { oldest: 0, newest: 0 } }),
    ],
    [
      "foreign-cluster",
      "cluster fra generation 3 is not ours",
      hello(PEER, { cluster: { name: "fra", generation: 3 } }),
    ],
    [
      "other-generation",
      "cluster iad generation 2 is not ours",
      hello(PEER, { cluster: { name: "iad", generation: 2 } }),
    ],
    ["own-node", "it is myself", hello(SELF)],
  ])("is closed as %s because: %s", (code, reason, greeting) => {
    links.onOpened("in-1", "in");
    const refused = links.onHello("in-1", greeting);
    expect(refused).toEqual({
      effects: [{ kind: "close-stream", stream: "in-1", reason }],
      refused: { code, reason },
    });
    expect([links.reachable(), links.nodeOf("in-1")]).toEqual([[], undefined]);
  });

  test("is of use to a member of the next release, which speaks as this one does, too", () => {
    links.onOpened("in-1", "in");
    const next = { oldest: PROTOCOL.newest, newest: PROTOCOL.newest + 1 };
    expect(links.onHello("in-1", hello(PEER, { protocol: next })).node).toBe(PEER);
    expect(links.reachable()).toEqual([PEER]);
  });

  test("is the node's that its certificate names, or nobody's", () => {
    links.onOpened("in-1", "in", OTHER);
    expect(links.onHello("in-1", hello(PEER)).refused?.reason).toBe("its certificate names another node");
    expect(links.reachable()).toEqual([]);
    links.onOpened("in-2", "in", PEER);
    expect(links.onHello("in-2", hello(PEER)).node).toBe(PEER);
  });

  test("may not greet twice, nor turn into somebody else", () => {
    links.onOpened("in-1", "in");
    links.onHello("in-1", hello(PEER));
    expect(links.onHello("in-1", hello(OTHER)).refused?.reason).toBe("a second greeting");
    expect(links.nodeOf("in-1")).toBe(PEER);
  });

  test("is closed when its member is gone: it may never close by itself", () => {
    links.onOpened("in-1", "in");
    links.onHello("in-1", hello(PEER));
    expect(links.unwant(PEER)).toEqual([{ kind: "close-stream", stream: "in-1", reason: "member gone" }]);
  });

  test("that nobody knows is nothing", () => {
    expect(links.onHello("in-7", hello(PEER))).toEqual({ effects: [] });
    expect(links.onClosed("in-7")).toEqual({ effects: [], node: undefined });
    expect(links.onFlushed("in-7", 5)).toEqual({ effects: [], caughtUp: undefined });
    expect(links.close("in-7", "no")).toEqual([]);
  });
});

describe("a peer that cannot keep up", () => {
  const { own, repair } = config.laneBytesMax;
  const quarter = new Uint8Array(own / 4);
  const bytesOf = (effects: readonly Effect[]): number =>
    effects.reduce((sum, it) => sum + (it.kind === "send" ? it.bytes.length : 0), 0);

  test("gets a window's worth at a time, and lags once its lane is full, until all of it has gone", () => {
    const stream = ready(PEER);
    links.onFlushed(stream, 1_000_000); // The greeting has left.
    expect(bytesOf(links.send(PEER, "own", quarter))).toBe(quarter.length); // More than the window, but alone.
    for (let i = 0; i < 4; i++) expect(links.send(PEER, "own", quarter)).toEqual([]);
    expect(links.isLagging(PEER)).toBe(false);
    const full = links.send(PEER, "own", quarter);
    expect(full).toEqual([{ kind: "event", event: { kind: "peer-lagging", peer: PEER } }]);
    expect(links.send(PEER, "own", quarter)).toEqual([]);
    const left = Array.from({ length: 4 }, () => links.onFlushed(stream, quarter.length));
    expect(left.map(({ effects, caughtUp }) => [bytesOf(effects), caughtUp])).toEqual(
      Array.from({ length: 4 }, () => [quarter.length, undefined]),
    );
    expect(links.onFlushed(stream, quarter.length)).toEqual({ effects: [], caughtUp: PEER });
    expect([links.isLagging(PEER), links.onFlushed(stream, own).caughtUp]).toEqual([false, undefined]);
  });

  test("gets first what matters most; and answers to its wants are a tenth of it at least", () => {
    const stream = ready(PEER);
    links.onFlushed(stream, 1_000_000);
    const mark = (tag: number, size = config.gossip.frameBytesMax): Uint8Array => new Uint8Array(size).fill(tag);
    links.send(PEER, "own", mark(0, config.peerWindowBytes)); // Under way.
    links.send(PEER, "repair", mark(5, repair / 2));
    for (let i = 0; i < 14; i++) links.send(PEER, "relayed", mark(4));
    links.send(PEER, "own", mark(3));
    links.send(PEER, "urgent", mark(2));
    links.send(PEER, "control", mark(1));
    const order: number[] = [];
    for (let bytes = config.peerWindowBytes; bytes > 0;) {
      const { effects } = links.onFlushed(stream, bytes);
      for (const it of effects) if (it.kind === "send") order.push(it.bytes[0] ?? -1);
      bytes = bytesOf(effects);
    }
    expect(order.slice(0, 3)).toEqual([1, 2, 3]);
    expect(order.indexOf(5)).toBeGreaterThan(5);
    expect(order.indexOf(5)).toBeLessThan(order.length - 1); // Before everything else had gone.
    expect(order.length).toBe(18);
  });

  test("starts afresh on another stream, and a peer without one does not lag", () => {
    const stream = ready(PEER);
    for (let i = 0; i < 7; i++) links.send(PEER, "own", quarter);
    expect(links.isLagging(PEER)).toBe(true);
    links.onClosed(stream);
    expect(links.isLagging(PEER)).toBe(false);
    links.redial(PEER);
    expect(links.isLagging(PEER)).toBe(false);
  });
});
