/**
 * The database that every simulated node begins with. It is made once: creating its tables would take more of a run than
 * all that is then written into them. A node makes it its own, with an id of its own, when it opens it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SqliteStore } from "@patina/store";
import { SIM_CLUSTER } from "./cluster.js";
import { SIM_SCHEMA } from "./schema.js";
import { SCRATCH_DIR } from "./scratch.js";

let blank: Uint8Array | undefined;

export function blankDatabase(): Uint8Array {
  return (blank ??= makeBlank());
}

function makeBlank(): Uint8Array {
  const dir = mkdtempSync(join(SCRATCH_DIR, "patina-sim-blank-"));
  const path = join(dir, "state.db");
  const nobody = { node: "0".repeat(32), newDbId: () => "0".repeat(16) };
  new SqliteStore({ path, cluster: SIM_CLUSTER, ...nobody, schemaSql: SIM_SCHEMA }).close();
  const bytes = readFileSync(path);
  rmSync(dir, { recursive: true });
  return bytes;
}
