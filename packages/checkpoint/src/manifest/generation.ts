/**
 * Generations: a restore of a whole region opens a new one, and every member refuses the old. The record is
 * create-only, so of two operators restoring at once one opens it, and the other learns what was opened.
 */
import { AppError, messageOf } from "@patina/base";
import { z } from "zod";
import { canonicalBytes } from "./canonical-json.js";
import { damaged, damageError, missing } from "./damage.js";
import { generationKey, generationPrefix } from "./keys.js";
import type { ObjectStore } from "../object-store.js";

const generationSchema = z.object({
  fmt: z.literal(1),
  cluster: z.string(),
  generation: z.number().int().positive(),
  /** The generation it follows. */
  parent: z.number().int().nonnegative(),
  reason: z.string(),
  /** The checkpoint it starts from; null when it starts empty. */
  manifestId: z.string().nullable(),
  /** The generation's own stamps are greater, in decimal. */
  floor: z.string().regex(/^\d{1,20}$/),
  atMs: z.number().int().nonnegative(),
  by: z.string(),
});

export type GenerationRecord = z.infer<typeof generationSchema>;

export interface OpenGeneration {
  readonly generation: number;
  readonly parent: number;
  readonly reason: string;
  /** Undefined when it starts empty. */
  readonly manifestId?: string | undefined;
  readonly floor: string;
  readonly atMs: number;
  readonly by: string;
}

/** Throws `checkpoint-conflict` with the record that exists, unless it is this very one. */
export async function openGeneration(
  objects: ObjectStore,
  cluster: string,
  { manifestId, ...opened }: OpenGeneration,
): Promise<GenerationRecord> {
  const { generation, parent } = opened;
  if (generation <= parent) {
    throw new AppError("bad-request", `generation ${generation} does not follow ${parent}`);
  }
  const record: GenerationRecord = { fmt: 1, cluster, ...opened, manifestId: manifestId ?? null };
  const key = generationKey(cluster, generation);
  const bytes = canonicalBytes(record);
  if ((await objects.putIfAbsent(key, bytes)) === "created") return record;
  const existing = await readGeneration(objects, key);
  if (Buffer.from(canonicalBytes(existing)).equals(bytes)) return record; // Ours: its acknowledgement was lost.
  throw conflict(existing);
}

/** The newest generation on record, or undefined when the cluster never was restored. */
export async function latestGeneration(objects: ObjectStore, cluster: string): Promise<GenerationRecord | undefined> {
  const newest = (await objects.list(generationPrefix(cluster))).at(-1);
  return newest === undefined ? undefined : readGeneration(objects, newest.key);
}

async function readGeneration(objects: ObjectStore, key: string): Promise<GenerationRecord> {
  const bytes = await objects.get(key);
  if (bytes === undefined) throw damageError(missing(key, "the record of a generation"));
  try {
    return generationSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw damageError(damaged(key, "the record of a generation", messageOf(error)));
  }
}

function conflict({ cluster, generation, by, atMs, reason, manifestId }: GenerationRecord): AppError {
  const at = new Date(atMs).toISOString();
  const from = manifestId ?? "nothing";
  return new AppError(
    "checkpoint-conflict",
    `generation ${generation} of ${cluster} was opened by ${by} at ${at} from ${from} (${reason})`,
    {
      hint: `Join it: restore ${from}; or, to undo it, restore into generation ${generation + 1}.`,
      details: { generation, by, at, manifest: from, reason },
    },
  );
}
