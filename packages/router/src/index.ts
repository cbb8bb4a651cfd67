/** What runs where, across regions: the map, whom to ask, and what their answers amount to. */
export { defaultRouterConfig, type RouterConfig, testRouterConfig } from "./config.js";
export { Fib, type PlacementClass, type Route } from "./fib.js";
export { type Grade, type GradedAge, gradeOf, type RegionState } from "./grade.js";
export {
  type Correction,
  correctionsOf,
  type InstanceRow,
  mergeAnswers,
  type PlacedRegion,
  type Placement,
  type RegionAnswer,
} from "./merge.js";
export { type Ask, type Missing, type Plan, planResolve, type ResolveOptions, type RouterView } from "./plan.js";
