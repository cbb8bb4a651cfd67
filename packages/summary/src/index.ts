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
