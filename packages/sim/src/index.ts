/** Whole clusters in virtual time, from a seed, on the production classes. */
export { runSeed, type SeedResult } from "./run-seed.js";
export type { WrapStore } from "./sim-node.js";
