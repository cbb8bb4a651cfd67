/** One member of one cluster, as a pure step function. Drivers: `runtime` for production, `sim` for proof. */
export { Agent, type AgentOptions } from "./agent.js";
export { type AgentConfig, defaultAgentConfig, testAgentConfig } from "./config.js";
export type { StorePort } from "./ports.js";
export type {
  AgentEvent,
  AgentTimer,
  Effect,
  Input,
  MemberInput,
  RefusedInput,
  StreamId,
  Ticketed,
} from "./protocol.js";
export { type NodeEffect, type NodeInput, SingleThread } from "./single-thread.js";
