/** M: who is believed to be there. Records only grow, nobody condemns itself, and in fair weather nobody is buried alive. */
import type { NodeId } from "@patina/base";
import { testAgentConfig } from "@patina/agent";
import { compareMembers, type Member } from "@patina/membership";
import type { Machine } from "../machine/machine.js";
import type { FaultClass } from "../plan/swarm.js";
import type { World } from "../world/world.js";
import type { Chronicle } from "./chronicle.js";

/**
 * What makes a node seem dead to a detector without fault: then a false death is a loss of time, not an error. A clock that
 * is off by more than a minute belongs to it: boot numbers seem to be from the future, and nothing is believed of those.
 */
const FOUL_WEATHER: readonly FaultClass[] = ["clock-step", "clock-drift", "loss", "reordering", "delay", "asymmetric-delay", "clog", "partition", "long-partition", "stall", "long-stall", "twin"]; // prettier-ignore

/** A member that was seen in an event, and when. */
interface Seen {
  readonly member: Member;
  readonly atMs: number;
}

export class MemberWatch {
  readonly #chronicle: Chronicle;
  readonly #seen = new Map<string, Map<NodeId, Seen>>();
  /** Running processes that some other node found dead. */
  readonly falseDeaths: { readonly by: number; readonly of: number; readonly atMs: number }[] = [];

  constructor(chronicle: Chronicle) {
    this.#chronicle = chronicle;
  }

  /** M1: of every known node the record only grows, until it was forgotten. */
  onMember(by: Machine, member: Member, nowMs: number): void {
    const key = `${by.index}.${by.life}`;
    const seen = this.#seen.get(key) ?? new Map<NodeId, Seen>();
    this.#seen.set(key, seen);
    const before = seen.get(member.nodeId);
    const isForgotten = before !== undefined && nowMs - before.atMs >= testAgentConfig.membership.tombstoneMs;
    if (before !== undefined && !isForgotten && compareMembers(member, before.member) <= 0) {
      this.#chronicle.broken("M1", `node ${by.index} went back from ${told(before.member)} to ${told(member)}`);
    }
    seen.set(member.nodeId, { member, atMs: nowMs });
  }

  /** Called for every burial: was it one of a process that runs? */
  noteDeath(by: Machine, member: Member, machines: readonly Machine[], nowMs: number): void {
    const of = machines.find(({ nodeId, isUp, disk }) => nodeId === member.nodeId && isUp && disk.boot === member.boot);
    if (of !== undefined) this.falseDeaths.push({ by: by.index, of: of.index, atMs: nowMs });
  }
}

/** M2 and M5, at any time: a node takes itself for alive, and knows no more nodes than there are. */
export function checkMember({ machines, chronicle }: World, { index, agent }: Machine): void {
  if (agent === undefined) return;
  const self = agent.self();
  if (self.state !== "alive") chronicle.broken("M2", `node ${index} runs and says that it is ${self.state}`);
  const known = agent.members().length;
  const others = new Set(machines.map(({ nodeId }) => nodeId)).size - 1;
  if (known > others) chronicle.broken("M5", `node ${index} knows ${known} others of ${others}`);
}

/** M3, in the end: everybody sees just the core, as it is now. */
export function checkMembers(world: World): string[] {
  const boots = new Map(world.core.map(({ nodeId, disk }) => [nodeId, disk.boot]));
  return world.core.flatMap(({ agent, index, nodeId }) => {
    const present = (agent?.members() ?? []).filter(({ state }) => state === "alive" || state === "suspect");
    const right = present.filter((it) => it.state === "alive" && boots.get(it.nodeId) === it.boot);
    if (right.length === present.length && right.length === boots.size - 1) return [];
    const wrong = present.filter((it) => !right.includes(it)).map(told);
    return [
      `M3: node ${index} (${nodeId.slice(0, 6)}) sees ${right.length} of ${boots.size - 1} others, and ${wrong.join(", ") || "nobody else"}`,
    ];
  });
}

/**
 * M6, in the end: nobody in the core takes another for given up, or it would take nothing from it any more. One that was put
 * back may have said so itself, in a history that nobody else has.
 */
export function checkEnlisted({ core, chronicle }: World): string[] {
  return core.flatMap(({ index, store }) => {
    const isAsked = store !== undefined && !chronicle.forked.has(store.origin);
    const given = isAsked && core.find(({ nodeId }) => store.members.isNodeEvicted(nodeId));
    return given ? [`M6: node ${index} has node ${given.index} for given up`] : [];
  });
}

/** M4: in fair weather no running process is ever found dead. */
export function checkFalseDeaths({ plan, watch }: World): string[] {
  if (plan.classes.some((name) => FOUL_WEATHER.includes(name))) return [];
  return watch.falseDeaths
    .slice(0, 1)
    .map(({ by, of, atMs }) => `M4: node ${by} buried node ${of} alive at ${Math.round(atMs)} ms`);
}

function told({ nodeId, boot, incarnation, state }: Member): string {
  return `${nodeId.slice(0, 6)} ${state} ${boot}.${incarnation}`;
}
