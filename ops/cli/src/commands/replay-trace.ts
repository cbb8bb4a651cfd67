/** Replays a trace into a fleet and says what came of it: equal digests, a true index, and no more rows than transitions. */
import pc from "picocolors";
import { PatinaClient } from "@patina/api/client";
import { systemNow } from "@patina/runtime";
import type { Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyRouter } from "../fleet/reach.js";
import { settle } from "../fleet/settle.js";
import { note } from "../output.js";
import { replay } from "../workload/replay.js";
import type { TraceEvent } from "../workload/trace.js";

const SETTLE_WITHIN_MS = 120_000;

/** What is wrong at the end, if anything. */
export async function replayTrace(
  fleet: Fleet,
  events: readonly TraceEvent[],
  speed: number,
): Promise<string | undefined> {
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
  const misplaced = await misresolved(fleet, new Set(events.map(({ instance }) => instance.app)));
  if (misplaced.length > 0) return `${misplaced.length} apps resolve wrongly, e.g. ${misplaced[0]}`;
  note("every app resolves to exactly the regions that have it");
  const { transitions, repaired, unanswered, rowsWritten } = await countRows(fleet);
  const account = `${transitions} class transitions, ${repaired} rows that an audit missed and ${unanswered} that nobody answered`;
  note(`told by the regions: ${account}; rows written to the global index: ${rowsWritten}`);
  return rowsWritten <= transitions + repaired + unanswered
    ? undefined
    : `${rowsWritten} global rows were written for ${account}`;
}

/** Apps whose placement, as the router gives it, is not what the regions have. */
async function misresolved(fleet: Fleet, apps: ReadonlySet<string>): Promise<string[]> {
  const router = await anyRouter(fleet);
  const here = new Map<string, string[]>();
  for (const region of Object.keys(fleet.regions)) {
    const { apps: list } = await (await anyIn(fleet, region)).request<{ apps: { app: string }[] }>("/v1/apps");
    for (const { app } of list) here.set(app, [...(here.get(app) ?? []), region]);
  }
  const wrong: string[] = [];
  for (const app of apps) {
    const path = `/v1/apps/${encodeURIComponent(app)}/placement`;
    const { regions } = await router.request<{ regions: { region: string }[] }>(path, { accept: [404, 503] });
    const [is, shouldBe] = [regions.map(({ region }) => region).sort(), (here.get(app) ?? []).toSorted()];
    if (is.join() !== shouldBe.join())
      wrong.push(`${app} in ${is.join(" ") || "none"}, not ${shouldBe.join(" ") || "none"}`);
  }
  return wrong;
}

interface RowCounts {
  /** Changes of class that publishing borders told. */
  readonly transitions: number;
  /** What audits added: what a border had seen before it came to publish. */
  readonly repaired: number;
  /** What was sent again, maybe to another global agent, which writes it a second time. */
  readonly unanswered: number;
  /** Rows of the index that really changed, over all global agents. */
  readonly rowsWritten: number;
}

/** Over all borders: one that published for a while may no longer do so. */
async function countRows(fleet: Fleet): Promise<RowCounts> {
  const told = { transitions: 0, repaired: 0, unanswered: 0 };
  for (const { api } of Object.values(fleet.regions).flat()) {
    const border = await new PatinaClient(api).request<typeof told>("/v1/border");
    told.transitions += border.transitions;
    told.repaired += border.repaired;
    told.unanswered += border.unanswered;
  }
  let rowsWritten = 0;
  for (const { api } of fleet.global) {
    rowsWritten += (await new PatinaClient(api).request<{ rows_written: number }>("/v1/index")).rows_written;
  }
  return { ...told, rowsWritten };
}
