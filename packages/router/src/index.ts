/** What runs where, across regions: the map, whom to ask, and what their answers amount to. */
export { defaultRouterConfig, type RouterConfig, testRouterConfig } from "./config.js";
export {
  defaultDoorConfig,
  Door,
  type DoorConfig,
  type KnownRegion,
  type Publication,
  type Refusal,
} from "./door/door.js";
export {
  heartbeatWrite,
  lastHeartbeat,
  placementWrites,
  type PublishedRow,
  type RegionBeat,
} from "./door/index-writes.js";
export { Fib, type PlacementClass, type Route } from "./fib.js";
export { type Grade, type GradedAge, gradeOf, gradesOf, type RegionState } from "./grade.js";
export {
  type Correction,
  correctionsOf,
  type InstanceRow,
  mergeAnswers,
  type PlacedRegion,
  type Placement,
  type RegionAnswer,
} from "./merge.js";
export {
  type PageEnd,
  type PlacementsPage,
  Rib,
  type RibOptions,
  type RibRows,
  type StoredPlacement,
  type StoredRegion,
  type TakingJournal,
} from "./rib/rib.js";
export { Quarantine, type QuarantinedRow, type RowName } from "./rib/quarantine.js";
export {
  APP_CHARS_MAX,
  type Judged,
  judgePlacement,
  judgeRegion,
  type PlacementRow,
  REGION_NAME,
  type RegionRow,
} from "./rib/rows.js";
export { type Feature, FEATURES, NOTHING_OFF, type Switches, SWITCHES_MAX, switchedOff } from "./rib/switches.js";
export type { Location, Near } from "./near.js";
export {
  type Ask,
  type Missing,
  type Plan,
  planResolve,
  type ResolveOptions,
  type RouterView,
  type Token,
} from "./plan.js";
export type { BreakerState } from "./regions/breaker.js";
export { RegionHealth } from "./regions/region-health.js";
export { Answers, type GivenAnswer } from "./resolution/answers.js";
export { Resolution, type ResolutionEffect, type ResolutionInput } from "./resolution/resolution.js";
export { AppWatch, defaultWatchConfig, type WatchConfig, type WatchEvent } from "./watch/app-watch.js";
export { WatcherQueue } from "./watch/watcher-queue.js";
export { Outlook } from "./outlook.js";
export { type Ground, Standing } from "./resolution/standing.js";
