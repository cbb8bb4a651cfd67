/** A drill in a thread of its own that steps back for the agent's: it reads, inflates and checks a whole database. */
import { parentPort, workerData } from "node:worker_threads";
import { asAppError, must } from "@patina/base";
import { openCheckpointStore } from "@patina/checkpoint";
import { newBytes, stepBack, systemNow } from "@patina/runtime";
import { drill } from "./drill.js";
import type { DrillReply, DrillRequest } from "./protocol.js";

const { store, keyFile, ...request } = workerData as DrillRequest;
stepBack();
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
