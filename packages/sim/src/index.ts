/** Whole clusters in virtual time, from a seed, on the production classes. */
export { runSeed, type RunOptions, type SeedResult } from "./run/run-seed.js";
export type { WrapStore } from "./machine/process.js";
export { Crowd, CROWD_CLUSTER, crowdAddress, type CrowdOptions, nodeIdOf, type Sighting } from "./crowd/crowd.js";
export { countFalseDeaths, type Detection, measureDetection, measureMassRestart, ROUGH_WEATHER, type Stalls } from "./crowd/detection.js"; // prettier-ignore
export { PERFECT_NETWORK, type NetworkConditions, type Plan } from "./plan/plan.js";
