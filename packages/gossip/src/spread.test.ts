/** The parts of a spread: groups that agree, routes that reach everybody, heads that are told and asked for, budgets. */
import { type Change, hash32, type NodeId, type Now, Ranges } from "@patina/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Budget } from "./budget.js";
import { defaultGossipConfig as config } from "./config.js";
import { groupCount, groupOf, intervalOf, isWithin } from "./groups.js";
import { HeadsTold } from "./heads.js";
import { Inbox, type Served } from "./inbox.js";
import { Relayed } from "./relayed.js";
import { Topology } from "./topology.js";

const at = (monotonicMs: number): Now => ({ monotonicMs, wallMs: 0 });
const nodes = (count: number): NodeId[] =>
  Array.from({ length: count }, (_, i) => hash32(String(i)).toString(16).padStart(8, "0").repeat(4));
const always = (): boolean => true;

describe("groups", () => {
  test("are about √N, a power of two, and stay as they are while the cluster grows or shrinks a little", () => {
    expect([10, 65, 100, 300, 1000].map((size) => groupCount(size, 1))).toEqual([4, 8, 8, 16, 32]);
    expect([100, 70, 130, 150].map((size) => groupCount(size, 8))).toEqual([8, 8, 8, 8]);
    expect([20, 190].map((size) => groupCount(size, 8))).toEqual([4, 16]);
  });

  test("part the members: each is within its own group's interval and no other's", () => {
    for (const groups of [2, 8, 32]) {
      for (const node of nodes(200)) {
        const within = Array.from({ length: groups }, (_, i) => i).filter((i) => isWithin(node, intervalOf(i, groups)));
        expect(within).toEqual([groupOf(node, groups)]);
      }
    }
  });
});

describe("a topology", () => {
  test("of 64 members is one group that is told directly; and falls back only well below", () => {
    const all = nodes(70);
    const topology = new Topology(all[0] ?? "", config);
    topology.update(all.slice(1, 64), always);
    expect([topology.isLarge, topology.links().length, topology.routes(always).relays]).toEqual([false, 63, []]);
    topology.update(all.slice(1, 66), always);
    expect(topology.isLarge).toBe(true);
    topology.update(all.slice(1, 60), always);
    expect(topology.isLarge).toBe(true);
    topology.update(all.slice(1, 48), always);
    expect(topology.isLarge).toBe(false);
  });

  test("reaches everybody in two steps over the links that members keep, whoever begins", () => {
    const all = nodes(150);
    const views = new Map(
      all.map((self) => {
        const topology = new Topology(self, config);
        topology.update(all.filter((node) => node !== self), always); // prettier-ignore
        return [self, topology];
      }),
    );
    for (const origin of all.slice(0, 20)) {
      const { direct, relays } = views.get(origin)?.routes(always) ?? { direct: [], relays: [] };
      const links = new Set(views.get(origin)?.links());
      expect([...direct, ...relays.map(({ to }) => to)].every((node) => links.has(node))).toBe(true);
      const copies = new Map<NodeId, number>();
      const give = (node: NodeId): unknown => copies.set(node, (copies.get(node) ?? 0) + 1);
      direct.forEach(give);
      for (const { to, interval } of relays) {
        give(to);
        views.get(to)?.within(interval, always).forEach(give);
      }
      expect(copies.size).toBe(all.length - 1);
      expect(Math.max(...copies.values())).toBeLessThanOrEqual(config.relaysPerGroup);
    }
  });

  test("goes by other contacts when one is not reachable, and by the unfit last", () => {
    const all = nodes(150);
    const topology = new Topology(all[0] ?? "", config);
    topology.update(all.slice(1), always);
    const [first] = topology.routes(always).relays;
    const without = topology.routes((node) => node !== first?.to).relays;
    expect(without.map(({ to }) => to)).not.toContain(first?.to);
    expect(without.length).toBe(topology.routes(always).relays.length);
    topology.update(all.slice(1), (node) => node !== first?.to);
    expect(topology.routes(always).relays.map(({ to }) => to)).not.toContain(first?.to);
  });
});

describe("heads", () => {
  test("are told so many times, and telling begins anew only after it has ended", () => {
    const heads = new HeadsTold(config);
    expect([heads.noteAdvanced("a"), heads.noteAdvanced("b")]).toEqual([true, false]);
    const told = Array.from({ length: 4 }, () => [...heads.tell(() => 7)].length);
    expect(told).toEqual([2, 2, 2, 0]);
    expect(heads.noteAdvanced("a")).toBe(true);
  });

  test("of what is not here are asked of one teller after the other, and then no more", () => {
    const heads = new HeadsTold(config);
    expect(heads.noteLack("a", 5, "p1", at(0))).toBe(20);
    expect(heads.noteLack("a", 4, "p2", at(1))).toBeUndefined();
    const asked: string[] = [];
    let wakes = 0;
    for (let ms = 20; wakes++ < 10;) {
      const { pulls, wakeAfterMs } = heads.pulls(() => false, at(ms));
      for (const { from, head } of pulls) asked.push(`${from}:${head}@${ms}`);
      if (wakeAfterMs === undefined) break;
      ms += wakeAfterMs;
    }
    expect(asked).toEqual(["p1:5@20", "p2:5@120", "p1:5@420"]);
    expect(heads.pulls(() => false, at(5000))).toEqual({ pulls: [], wakeAfterMs: undefined });
  });

  test("of what has come meanwhile are not asked for; nor is a teller that is gone", () => {
    const heads = new HeadsTold(config);
    heads.noteLack("a", 5, "p1", at(0));
    heads.noteLack("b", 5, "p1", at(0));
    heads.forgetPeer("p1");
    heads.noteLack("b", 5, "p2", at(0));
    expect(heads.pulls((origin) => origin === "a", at(20)).pulls).toEqual([{ origin: "b", head: 5, from: "p2" }]);
  });

  test("of no more origins than the limit are waited for", () => {
    const heads = new HeadsTold({ ...config, lacksMax: 3 });
    for (let i = 0; i < 10; i++) heads.noteLack(`o${i}`, 1, "p", at(0));
    expect(heads.pulls(() => false, at(20)).pulls.length).toBe(3);
  });
});

test("what was relayed is not relayed again, as far back as is remembered", () => {
  const relayed = new Relayed(3);
  const change = (version: number): Change => ({ origin: "a", version, hlc: 1n, body: new Uint8Array() });
  expect(relayed.takeNew([change(1), change(2)]).length).toBe(2);
  expect(relayed.takeNew([change(1), change(2), change(3), change(4)]).map(({ version }) => version)).toEqual([3, 4]);
  expect(relayed.takeNew([change(4), change(1)]).map(({ version }) => version)).toEqual([1]);
});

test("a budget never lets more through than its rate and one burst, and lets all of it through in time", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 900 })), { maxLength: 80 }), (spends) => {
      const budget = new Budget(1000, 1000);
      let [ms, spent] = [0, 0];
      for (const [afterMs, bytes] of spends) {
        ms += afterMs;
        if (budget.spend(bytes, at(ms))) spent += bytes;
        expect(spent).toBeLessThanOrEqual(1000 + ms);
      }
      expect(budget.spend(900, at(ms + 1000))).toBe(true);
    }),
  );
});

describe("an inbox that one origin floods", () => {
  const change = (origin: string, version: number, bytes = 1000): Change => {
    return { origin, version, hlc: 1n, body: new Uint8Array(bytes) };
  };

  test("serves the others in turn: each gets its share of every slice", () => {
    const inbox = new Inbox(config);
    for (let version = 1; version <= 200; version++) inbox.offer(change("storm", version), new Map());
    for (const origin of ["a", "b"]) for (let v = 1; v <= 3; v++) inbox.offer(change(origin, v), new Map());
    const { arrivals, more } = inbox.takeReady(new Map(), 16 << 10, 10n);
    const of = (origin: string): number =>
      arrivals.filter((it) => it.kind === "change" && it.change.origin === origin).length;
    expect([of("a"), of("b"), more]).toEqual([3, 3, true]);
    expect(of("storm")).toBeGreaterThan(3);
  });

  test("lets what comes of others overtake it, and serves first who was left out", () => {
    const inbox = new Inbox(config);
    const applied = new Map<string, number>();
    const take = (served: Served): string => {
      const holdings = new Map([...applied].map(([origin, head]) => [origin, { head, gaps: Ranges.empty }]));
      const { arrivals } = inbox.takeReady(holdings, 16 << 10, 10n, served);
      const changes = arrivals.flatMap((it) => (it.kind === "change" ? [it.change] : []));
      for (const { origin, version } of changes) applied.set(origin, version);
      return changes.map(({ origin }) => origin).join(" ");
    };
    const large = 10 << 10;
    for (let version = 1; version <= 9; version++) inbox.offer(change("storm", version, large), new Map());
    expect(take("all")).toBe("storm");
    inbox.offer(change("a", 1), new Map());
    expect(take("fresh")).toBe("a");
    for (const origin of ["b", "c"]) inbox.offer(change(origin, 1, large), new Map());
    expect(take("all")).toBe("b"); // The storm had its turn, and both of these have none yet.
    inbox.offer(change("d", 1), new Map());
    expect(take("all")).toBe("c d");
    inbox.offer(change("e", 1, large), new Map());
    expect(take("all")).toBe("storm");
    expect(take("all")).toBe("e");
    expect(take("fresh")).toBe("");
  });

  test("keeps room for them: the storm may not take all of it", () => {
    const inbox = new Inbox({ ...config, parkedVersionsMax: 100 });
    for (let version = 2; version <= 200; version++) inbox.offer(change("storm", version), new Map());
    for (let version = 2; version <= 20; version++) inbox.offer(change("a", version), new Map());
    expect([inbox.parkedVersions("storm").size, inbox.parkedVersions("a")]).toEqual([50, Ranges.of(2, 20)]);
  });
});
