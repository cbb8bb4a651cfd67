/** Plays one scenario in an enclosure: starts its members, lets it happen, and looks at what must be so in the end. */
import { messageOf } from "@patina/base";
import { systemNow } from "@patina/runtime";
import { Cluster } from "./cluster/cluster.js";
import { expectWhole } from "./cluster/verdict.js";
import { seconds, Unmet } from "./cluster/wait-until.js";
import { Writer } from "./cluster/writer.js";
import { Network } from "./enclosure/network.js";
import type { Scenario, Stage } from "./scenario.js";

const WHOLE_WITHIN_MS = 60_000;

export interface PlayOptions {
  readonly dir: string;
  readonly isShort: boolean;
  /** Instead of the scenario's own number. */
  readonly members: number | undefined;
}

/** True when all was as it must be. Prints a line a step, and the verdict. */
export async function playScenario(scenario: Scenario, { dir, isShort, members }: PlayOptions): Promise<boolean> {
  const { name, title, play } = scenario;
  const startMs = systemNow().monotonicMs;
  const size: Stage["size"] = ({ full, short }) => (isShort ? short : full);
  const say = (step: string): void => {
    process.stdout.write(`  ${seconds(systemNow().monotonicMs - startMs).padStart(7)}  ${step}\n`);
  };
  process.stdout.write(`${name}: ${title}\n`);
  const writer = new Writer();
  try {
    const count = members ?? size(scenario.members);
    const network = new Network(count);
    const cluster = await Cluster.create(network, count, dir, scenario.takesCheckpoints === true);
    const start = async (): Promise<void> => {
      await cluster.start();
      say(`${count} members know each other`);
    };
    await play({ cluster, network, writer, start, size, say });
    await expectWhole(cluster, writer, WHOLE_WITHIN_MS);
  } catch (thrown) {
    const why = thrown instanceof Unmet ? thrown.message : thrown instanceof Error ? (thrown.stack ?? "") : messageOf(thrown); // prettier-ignore
    process.stdout.write(`  FAILED  ${why}\n`);
    return false;
  }
  say(
    `ok: members alive, digests and holdings equal, ${writer.acknowledged.size} acknowledged rows there, no divergence`,
  );
  return true;
}
