/** What can be seen of an agent from outside: metrics and logs. The core itself never counts or logs. */
export { createLogger, logEvent, type Logger } from "./log.js";
export { AgentMetrics, type MetricsSources, type CheckpointStanding, type SecurityStatus } from "./metrics.js";
export { RouterMetrics, type RouterSources } from "./router-metrics.js";
