/** One agent as a process, for both tiers: configuration in, everything wired, a clean stop out. */
export { floorOf } from "./checkpoints/adopt-chain.js";
export { beginFrom } from "./checkpoints/starting.js";
export { AgentProcess, type AgentProcessOptions, type Tier } from "./agent-process.js";
export { agentConfigSchema, type AgentProcessConfig } from "./config.js";
export { loadConfig } from "./config-file.js";
export { type ProgramInput, readSchema, releaseVersion, runProgram, type Stoppable } from "./program.js";
