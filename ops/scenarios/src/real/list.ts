/** The faults that are played on real agents, in the order in which they are played. */
import type { Scenario } from "./scenario.js";
import { absence } from "./stories/absence.js";
import { crash, rollingRestart } from "./stories/crashes.js";
import { loss, oneWayCut, partition } from "./stories/cuts.js";
import { clockAhead, fullDisk } from "./stories/machines.js";
import { regionLoss } from "./stories/region-loss.js";
import { pause, slowLink } from "./stories/slowness.js";

export const REAL_SCENARIOS: readonly Scenario[] = [
  crash,
  partition,
  oneWayCut,
  loss,
  pause,
  slowLink,
  fullDisk,
  clockAhead,
  rollingRestart,
  absence,
  regionLoss,
];
