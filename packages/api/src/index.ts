/** HTTP: routes, errors on the wire, the server and the client. */
export { agentRoutes, type AgentRoutes, type ApiLimits, defaultApiLimits } from "./agent-routes.js";
export type { Operation, Operations } from "./openapi/document.js";
export { placementDocument } from "./openapi/placement-document.js";
export { jsonBody } from "./json-body.js";
export { type Line, linesOf } from "./ndjson-lines.js";
export { type LoadResult, PatinaClient, type RequestOptions, type Sign, type TransactionResult } from "./client.js";
export type {
  AgentPort,
  AttachOptions,
  BucketDocument,
  CheckpointsPort,
  GenerationsPort,
  DigestReport,
  IntegrityPort,
  LiveQueriesPort,
  LiveQuery,
  OwnersPort,
  Params,
  QueryRows,
  Readiness,
  RepairReport,
} from "./ports.js";
export { errorOf, type Problem, problemOf, problemResponse } from "./problem.js";
export type { DirectAnswer, DirectRoute } from "./direct-route.js";
export { type Beside, type HttpServer, serveApi } from "./server.js";
export type { ApiSocket, SocketHandler } from "./sockets.js";
