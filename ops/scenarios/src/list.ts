/** All scenarios, in the order of their numbers. */
import { halfDetached, lostEverybody } from "./outsiders.js";
import { manyLives, massRestart } from "./restarts.js";
import { absurdIncarnation, evidenceCounts, mutualDeath, noResurrection } from "./rumours.js";
import type { Scenario } from "./scenario.js";
import { changingRoundTrips, overwhelmed, stalls, wedgedMain } from "./slowness.js";

export const SCENARIOS: readonly Scenario[] = [
  massRestart,
  noResurrection,
  evidenceCounts,
  absurdIncarnation,
  mutualDeath,
  manyLives,
  lostEverybody,
  halfDetached,
  overwhelmed,
  stalls,
  wedgedMain,
  changingRoundTrips,
];
