/** How fast a crash is found out by everybody, and how rarely somebody is buried alive: the figures of the failure detector. */
import { Rng } from "@patina/base";
import { PERFECT_NETWORK, type NetworkConditions } from "../plan/plan.js";
import { Crowd } from "./crowd.js";

export interface Detection {
  readonly size: number;
  readonly seeds: number;
  /** From the crash until an observer has buried the node, over all observers and seeds. */
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
  /** Until all running nodes saw each other, from nothing. */
  readonly joinedMs: number;
}

const JOIN_WITHIN_MS = 60_000;
const DETECT_WITHIN_MS = 120_000;

/** `kill`: a process ends, and its machine refuses whoever redials. `power`: the machine is gone, too. */
export type Ending = "kill" | "power";

/** One node of `size` ends, once for every seed. */
export function measureDetection(size: number, seeds: number, ending: Ending): Detection {
  const times: number[] = [];
  let joinedMs = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const crowd = new Crowd({ size, seed });
    crowd.runUntil(() => crowd.isOne, JOIN_WITHIN_MS);
    joinedMs = Math.max(joinedMs, crowd.nowMs);
    crowd.run(new Rng(seed).between(0, 2000));
    times.push(...timesToBury(crowd, 2 + (seed % (size - 2)), ending));
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Infinity;
  return { size, seeds, medianMs: at(0.5), p99Ms: at(0.99), slowestMs: at(1), joinedMs };
}

/** By observer; `Infinity` for one that has not found out in time. */
function timesToBury(crowd: Crowd, victim: number, ending: Ending): number[] {
  const crashedMs = crowd.nowMs;
  crowd.seen.length = 0;
  if (ending === "kill") crowd.kill(victim);
  else crowd.crash(victim);
  const deaths = (): Map<number, number> =>
    new Map(
      crowd.seen.flatMap(({ by, of, member, atMs }) => (of === victim && member.state === "dead" ? [[by, atMs]] : [])),
    );
  crowd.runUntil(() => deaths().size === crowd.size - 1, DETECT_WITHIN_MS, 500);
  const buried = deaths();
  return crowd.up.map((by) => (buried.get(by) ?? Infinity) - crashedMs);
}

/** Weather in which nobody may be buried alive: one datagram in twenty is lost, and a round trip takes 200 ms. */
export const ROUGH_WEATHER: NetworkConditions = {
  ...PERFECT_NETWORK,
  delayMinMs: 80,
  delayMaxMs: 100,
  lossProbability: 0.05,
};

export interface Stalls {
  /** Share of nodes that stall. */
  readonly share: number;
  readonly forMs: number;
  readonly everyMs: number;
}

/** Burials of running processes over `forMs` of rough weather and stalls. */
export function countFalseDeaths(crowd: Crowd, { share, forMs, everyMs }: Stalls, durationMs: number): number {
  crowd.runUntil(() => crowd.isOne, JOIN_WITHIN_MS);
  crowd.falseDeaths.length = 0;
  const stallers = Array.from({ length: Math.ceil(crowd.size * share) }, (_, i) => 2 + i);
  for (let leftMs = durationMs; leftMs > 0; leftMs -= everyMs) {
    for (const node of stallers) crowd.stall(node, forMs);
    crowd.run(everyMs);
  }
  return crowd.falseDeaths.length;
}

/** Everybody loses power and comes back within `withinMs`: how long until all see all again, after the last came back. */
export function measureMassRestart(size: number, seed: number, withinMs: number): number {
  const crowd = new Crowd({ size, seed });
  crowd.runUntil(() => crowd.isOne, JOIN_WITHIN_MS);
  const rng = new Rng(seed);
  const remembered = crowd.up.map((node) => crowd.node(node).members());
  const order = rng.shuffle(crowd.up);
  for (const node of order) crowd.crash(node);
  for (const node of order) {
    crowd.run(withinMs / size);
    crowd.start(node, remembered[node]);
  }
  const backMs = crowd.nowMs;
  return crowd.runUntil(() => crowd.isOne, DETECT_WITHIN_MS) ? crowd.nowMs - backMs : Infinity;
}
