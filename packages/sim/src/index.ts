/** Whole clusters in virtual time, from a seed, on the production classes. */
export { runSeed, type RunOptions, type SeedResult } from "./run/run-seed.js";
export type { WrapStore } from "./machine/process.js";
