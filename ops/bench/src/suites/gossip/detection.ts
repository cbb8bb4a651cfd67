/** How long a crash goes unnoticed: one of ten agents is killed with SIGKILL, beside ten of serf in the same rounds. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { must } from "@patina/base";
import { waitUntil } from "@patina/scenarios";
import { SERF, SerfCluster } from "../../peers/serf.js";
import { isOnPath } from "../../programs.js";
import { RealAgents } from "../../real-agents.js";
import { type Figure, figure, unmeasured } from "../../report.js";
import type { SuiteOptions } from "../suite.js";

const DIES_WITHIN_MS = 60_000;
const FULL = { size: 10, rounds: 3 };
const QUICK = { size: 3, rounds: 1 };

export async function detectionFigures({ isQuick, dir }: SuiteOptions): Promise<Figure[]> {
  const { size, rounds } = isQuick ? QUICK : FULL;
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const home = join(dir, `detection-${round}`);
    mkdirSync(home);
    ours.push(await detectionMs(home, size));
    if (isOnPath(SERF)) theirs.push(await serfDetectionMs(home, size));
  }
  const measured = { name: `one of ${size} agents killed → all others know`, unit: "ms", values: ours };
  if (theirs.length === 0) return [figure(measured), unmeasured(`${SERF}: absent`)];
  const serf = { name: `one of ${size} of serf killed → all others know`, unit: "ms", values: theirs };
  return [figure(serf), figure(measured, { versus: serf, better: "less", goal: { of: "ratio", atLeast: 1 } })];
}

async function detectionMs(dir: string, size: number): Promise<number> {
  const agents = await RealAgents.start(dir, size, 0);
  try {
    const victim = agents.cluster.member(size - 1);
    const others = agents.cluster.others(victim);
    const killedMs = Date.now();
    const deaths = (): (number | undefined)[] => {
      return others.map((member) => {
        const lines = member.logged(killedMs);
        return lines.find(({ msg, nodeId }) => msg === "member is dead" && nodeId === victim.node)?.time;
      });
    };
    await victim.kill();
    await waitUntil("a death is known", DIES_WITHIN_MS, () => deaths().every((time) => time !== undefined));
    return Math.max(...deaths().map((time) => must(time, "a death"))) - killedMs;
  } finally {
    await agents.stop();
  }
}

async function serfDetectionMs(dir: string, size: number): Promise<number> {
  const serf = await SerfCluster.start(dir, size);
  try {
    return await serf.msToDetect();
  } finally {
    await serf.stop();
  }
}
