/** The object store of a fleet's checkpoints, opened with the key that it takes. */
import { AppError } from "@patina/base";
import { type ObjectStore, openCheckpointStore } from "@patina/checkpoint";
import { newBytes, systemNow } from "@patina/runtime";
import type { Fleet } from "./fleet-file.js";

/** The key file of the environment goes before the fleet file's. Throws `config-invalid` when no store is named. */
export async function checkpointStoreOf({ checkpoints, checkpoint_key_file }: Fleet): Promise<ObjectStore> {
  if (checkpoints === undefined) {
    throw new AppError("config-invalid", "the fleet file names no object store for checkpoints", {
      hint: 'Add "checkpoints": "file:///…" or "s3://…" to it.',
    });
  }
  const keyFile = process.env["PATINA_CHECKPOINT_KEY_FILE"] ?? checkpoint_key_file;
  return openCheckpointStore(checkpoints, { wallMs: () => systemNow().wallMs, keyFile, entropy: newBytes });
}
