/** What a region tells the world about its apps: transitions only, slow to withdraw, never all at once. */
export { defaultSummaryConfig, type SummaryConfig, testSummaryConfig } from "./config.js";
export {
  type IndexRow,
  type PlacementClass,
  Summary,
  type SummaryCounts,
  type SummaryEffect,
  type SummaryInput,
  type SummaryTimer,
} from "./summary.js";
export {
  Border,
  type BorderCounts,
  type BorderEffect,
  type BorderInput,
  type BorderOptions,
  type BorderTimer,
  type Heartbeat,
  type IndexedRow,
} from "./border/border.js";
export { type BorderConfig, defaultBorderConfig, testBorderConfig } from "./border/config.js";
export type { SummaryRow } from "./border/outbox.js";
export type { RegionMember, RegionView } from "./border/region-view.js";
export type { Standing } from "./border/stand-in.js";
