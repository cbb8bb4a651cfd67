/** Who publishes when the one whose turn it is cannot, and who does not although it thinks itself alone. */
import { rendezvous } from "@patina/base";
import { beforeEach, expect, test } from "vitest";
import { Border, type BorderEffect, type BorderInput } from "./border.js";
import { testBorderConfig as config } from "./config.js";
import type { RegionMember, RegionView } from "./region-view.js";
import type { Standing } from "./stand-in.js";

const [FIRST = "", SECOND = "", THIRD = ""] = rendezvous("border", ["a", "b", "c"]);
const apiOf = (node: string): string => `http://${node}`;

let nowMs: number;
/** As the global tier has it; "away": it does not answer. */
let standing: Standing | undefined | "away";

beforeEach(() => {
  nowMs = 0;
  standing = { ageMs: 0, by: apiOf(FIRST) };
});

/** One border over a region without apps, which it sees so. */
class Host {
  readonly beats: number[] = [];
  onBeat: () => void = () => undefined;
  looks = 0;
  readonly #border: Border;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(node: string, states: Readonly<Record<string, RegionMember["state"]>>) {
    const others = [FIRST, SECOND, THIRD].filter((other) => other !== node);
    const members = others.map((nodeId) => ({ nodeId, state: states[nodeId] ?? "alive", api: apiOf(nodeId) }) as const);
    const view: RegionView = {
      nodeId: node,
      api: apiOf(node),
      hasSynced: true,
      hasView: true,
      enlisted: () => [FIRST, SECOND, THIRD],
      members: () => members,
      apps: () => [],
      classOf: () => undefined,
      highWater: () => 0n,
      regionHighWater: () => 0n,
      hasGaps: () => false,
    };
    this.#border = new Border({ view, generation: 1, globals: 1, config });
    this.#step({ kind: "start" });
  }

  get isPublishing(): boolean {
    return this.#border.isPublishing;
  }

  at(atMs: number, run: () => void): void {
    this.#timers.push({ atMs, run });
  }

  runUntil(endMs: number): void {
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      nowMs = next.atMs;
      next.run();
    }
    nowMs = endMs;
  }

  #step(input: BorderInput): void {
    const effects = this.#border.handle(input, { monotonicMs: nowMs, wallMs: nowMs });
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: BorderEffect): void {
    if (effect.kind === "wake") {
      this.at(nowMs + effect.afterMs, () => this.#step({ kind: "wake", timer: effect.timer }));
    }
    if (effect.kind === "heartbeat") {
      this.beats.push(nowMs);
      this.onBeat();
    }
    if (effect.kind === "read-index") this.#step({ kind: "index", rows: [] });
    if (effect.kind !== "read-standing") return;
    this.looks++;
    if (standing === "away") this.#step({ kind: "standing-failed", to: effect.to });
    else this.#step({ kind: "standing", standing });
  }
}

const LONG_MS = 20 * config.heartbeatMs;

test("while the first is heard of, nobody stands in, and the further behind one comes, the rarer it looks", () => {
  const [second, third] = [new Host(SECOND, {}), new Host(THIRD, {})];
  second.runUntil(LONG_MS);
  nowMs = 0;
  third.runUntil(LONG_MS);
  expect([second.isPublishing, third.isPublishing]).toEqual([false, false]);
  expect(third.looks).toBeGreaterThan(0);
  expect(second.looks).toBeGreaterThan(1.5 * third.looks);
});

test("when the first is alive, and the global tier has not heard of the region for long, the second stands in", () => {
  const second = new Host(SECOND, {});
  standing = { ageMs: config.standInAfterMs + 1, by: apiOf(FIRST) };
  second.runUntil(2 * config.heartbeatMs + config.roleMs);
  expect(second.isPublishing).toBe(false); // Once is not enough: the first may be about to beat.
  second.runUntil(6 * config.heartbeatMs);
  expect([second.isPublishing, second.beats.length > 0]).toEqual([true, true]);
  // The global tier has what came last: its own heartbeats, and half a beat after each another's once that is fit again.
  let isFirstFit = false;
  second.onBeat = () => {
    standing = { ageMs: 0, by: apiOf(SECOND) };
    if (isFirstFit) second.at(nowMs + config.heartbeatMs / 2, () => (standing = { ageMs: 0, by: apiOf(FIRST) }));
  };
  second.runUntil(LONG_MS);
  expect(second.isPublishing).toBe(true);
  isFirstFit = true;
  second.runUntil(2 * LONG_MS);
  expect(second.isPublishing).toBe(false);
});

test("a global tier that does not answer, or had not heard of the region yet, is no reason to stand in at once", () => {
  const second = new Host(SECOND, {});
  standing = "away";
  second.runUntil(LONG_MS);
  expect([second.isPublishing, second.looks > 0]).toEqual([false, true]);
  standing = undefined;
  second.runUntil(LONG_MS + 6 * config.heartbeatMs);
  expect(second.isPublishing).toBe(true);
});

test("one that takes the others for dead publishes only if nobody else does: it may be the one that is cut off", () => {
  const alone = new Host(THIRD, { [FIRST]: "dead", [SECOND]: "dead" });
  alone.runUntil(LONG_MS);
  expect(alone.isPublishing).toBe(false);
  standing = { ageMs: LONG_MS, by: apiOf(FIRST) };
  alone.runUntil(LONG_MS + 6 * config.heartbeatMs);
  expect(alone.isPublishing).toBe(true);
});

test("with half of the region, it is the turn of whoever comes first of those that are there", () => {
  const second = new Host(SECOND, { [FIRST]: "dead" });
  second.runUntil(2 * config.roleMs);
  expect([second.isPublishing, second.looks]).toEqual([true, 0]);
});
