/** Replays a trace into a fleet and says what came of it: equal digests, a true index, and as many rows as transitions. */
import pc from "picocolors";
import { PatinaClient } from "@patina/api";
import { systemNow } from "@patina/runtime";
import type { Fleet } from "../fleet/fleet-file.js";
import { anyRouter } from "../fleet/reach.js";
import { settle } from "../fleet/settle.js";
import { note } from "../output.js";
import { replay } from "../workload/replay.js";
import { readTrace } from "../workload/trace.js";

const SETTLE_WITHIN_MS = 120_000;

/** What is wrong at the end, if anything. */
export async function replayTrace(fleet: Fleet, path: string, speed: number): Promise<string | undefined> {
  const events = readTrace(path, Object.keys(fleet.regions));
  let told = 0;
  const result = await replay(
    fleet,
    events,
    speed,
    () => systemNow().monotonicMs,
    ({ events: done, of, traceSeconds }) => {
      if (done < told + of / 20 && done < of) return;
      told = done;
      note(pc.dim(`  ${done} of ${of} events, day ${(traceSeconds / 86_400).toFixed(1)}`));
    },
  );
  note(
    `replayed ${result.events} events of ${(result.traceSeconds / 86_400).toFixed(1)} days at ${Math.round(result.speed)}× in ${result.realSeconds.toFixed(1)} s`,
  );
  const unsettled = await settle(fleet, await anyRouter(fleet), SETTLE_WITHIN_MS);
  if (unsettled !== undefined) return unsettled;
  const { transitions, rowsWritten } = await countRows(fleet);
  note(`class transitions in the regions: ${transitions}; rows written to the global index: ${rowsWritten}`);
  return transitions === rowsWritten
    ? undefined
    : `${rowsWritten} global rows were written for ${transitions} transitions`;
}

interface RowCounts {
  /** Changes of class that the publishing borders saw. */
  readonly transitions: number;
  /** Rows of the index that really changed, over all global agents. */
  readonly rowsWritten: number;
}

async function countRows(fleet: Fleet): Promise<RowCounts> {
  let transitions = 0;
  for (const agents of Object.values(fleet.regions)) {
    for (const { api } of agents) {
      const border = await new PatinaClient(api).request<{ transitions: number; isPublishing: boolean }>("/v1/border");
      if (border.isPublishing) transitions += border.transitions;
    }
  }
  let rowsWritten = 0;
  for (const { api } of fleet.global) {
    rowsWritten += (await new PatinaClient(api).request<{ rows_written: number }>("/v1/index")).rows_written;
  }
  return { transitions, rowsWritten };
}
