/** A drill in a thread of its own: it reads, inflates and checks a whole database, and the agent must not stand still over it. */
import { parentPort, workerData } from "node:worker_threads";
import { asAppError, must } from "@patina/base";
import { openCheckpointStore } from "@patina/checkpoint";
import { newBytes, systemNow } from "@patina/runtime";
import { drill } from "./drill.js";
import type { DrillReply, DrillRequest } from "./protocol.js";

const { store, keyFile, ...request } = workerData as DrillRequest;
let reply: DrillReply;
try {
  const objects = await openCheckpointStore(store, { keyFile, wallMs: () => systemNow().wallMs, entropy: newBytes });
  const proof = await drill({ ...request, objects, monotonicMs: () => systemNow().monotonicMs });
  reply = { ok: true, proof };
} catch (thrown) {
  const { code, message, hint } = asAppError(thrown);
  reply = { ok: false, code, message, hint };
}
must(parentPort, "a parent thread").postMessage(reply);
