/** One run of collection: sweeps what an earlier run marked, and marks what retention lets go now. */
import { AppError } from "@patina/base";
import type { ObjectStore } from "../object-store.js";
import { objectionsTo } from "../retention/objections.js";
import { paced } from "../retention/pace.js";
import { RETENTION_POLICIES, type RetentionName } from "../retention/policy.js";
import { decideRetention, type Retention } from "../retention/retention.js";
import { mark } from "./mark.js";
import { survey } from "./survey.js";
import { sweep, type Swept } from "./sweep.js";

export interface Prune {
  readonly objects: ObjectStore;
  readonly cluster: string;
  readonly policy: RetentionName;
  /** The checkpoints that the cluster's members know of, from outside the store. */
  readonly noted: readonly string[];
  /** Letters and digits that tell this run from another of the same moment. */
  readonly by: string;
  /** Says what it would do, and does nothing. */
  readonly isDryRun: boolean;
  /** Goes on in spite of objections, and with all bases at once. */
  readonly force: boolean;
}

export interface PruneReport extends Pick<Retention, "asOfMs" | "keep" | "go"> {
  readonly cluster: string;
  readonly objections: readonly string[];
  readonly isDryRun: boolean;
  readonly marked: { readonly manifests: number; readonly objects: number };
  readonly swept: Swept;
}

const NOTHING = { manifests: 0, objects: 0, bytes: 0 };

/** Throws `retention-refused` while something speaks against it, and `checkpoint-damaged`; nothing is deleted then. */
export async function prune(run: Prune): Promise<PruneReport> {
  const { objects, cluster, noted, by, isDryRun, force } = run;
  const policy = RETENTION_POLICIES[run.policy];
  const found = await survey(objects, cluster);
  const condemned = new Set(found.trash.flatMap(({ manifests }) => [...manifests]));
  const decided = decideRetention(found, policy);
  const retention = force ? decided : paced(decided, found.held, condemned);
  const objections = objectionsTo(retention, policy, { held: found.held, noted });
  const report = { cluster, ...retention, objections, isDryRun };
  if (isDryRun) return { ...report, marked: NOTHING, swept: NOTHING };
  if (objections.length > 0 && !force) throw refused(objects, cluster, objections);
  const swept = await sweep(objects, cluster, { found, retention });
  const marked = await mark(objects, cluster, { found, retention, by });
  return { ...report, swept, marked: { manifests: marked.manifests.length, objects: marked.objects.length } };
}

function refused(objects: ObjectStore, cluster: string, objections: readonly string[]): AppError {
  return new AppError(
    "retention-refused",
    `nothing of ${cluster} in ${objects.url} is deleted: ${objections.join("; ")}`,
    {
      hint: "Look at `patina checkpoint prune --dry-run` and `verify --quick`; `--force` goes on all the same.",
      details: { objections },
    },
  );
}
