/**
 * A manifest: everything needed to restore one checkpoint and to prove that what was restored is what was taken. It
 * is published last and create-only, so a checkpoint exists exactly when its manifest does. Its id holds the hash of
 * its content, so any damage to it shows.
 */
import { AppError, type Holding, type Holdings, heldVersions, messageOf, type OriginId, Ranges } from "@patina/base";
import { z } from "zod";
import { canonicalBytes, canonicalJson, type Json, sha256Hex } from "./canonical-json.js";
import { damaged, damageError } from "./damage.js";
import { chunkKey, type Level, LEVELS, manifestIdFor, manifestKey } from "./keys.js";
import { CHUNK_BYTES_MAX, STORED_BYTES_MAX } from "../limits.js";
import type { ObjectStore } from "../object-store.js";

/** The newest `minReader` this code understands. */
const READER = 2;
/** Objects of one content were told apart by a number from this one on. */
const READER_OF_COPIES = 2;

const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const hex = z.string().regex(/^([0-9a-f]{2})+$/);
const origin = z.string().regex(/^[0-9a-f]{48}$/);
const spans = z.string().regex(/^(\d{1,16}(-\d{1,16})?(,\d{1,16}(-\d{1,16})?)*)?$/);

const chunk = z.object({
  /** SHA-256 of the plain bytes; also its name. */
  id: sha256,
  bytes: count.max(CHUNK_BYTES_MAX),
  /** Bytes as stored. */
  stored: count.max(STORED_BYTES_MAX),
  codec: z.enum(["brotli", "none"]),
  /** Which object of this content; the first when left out. */
  copy: count.positive().optional(),
});

const content = z
  .object({ bytes: count, sha256, chunks: z.array(chunk).max(1_000_000) })
  .refine(({ bytes, chunks }) => chunks.reduce((sum, { bytes: part }) => sum + part, 0) === bytes, {
    message: "the chunks do not add up to the whole",
  });

const manifestSchema = z.object({
  fmt: z.literal(1),
  /** The least reader that can restore it. Raised when a change must not be ignored. */
  minReader: count,
  cluster: z.string(),
  generation: count,
  id: z.string(),
  /** A base is an image; the others are deltas, `d0` the shortest. */
  level: z.enum(LEVELS),
  /** The checkpoint that a delta is applied after; null for a base. */
  parent: z.string().nullable(),
  takenAtMs: count,
  by: z.object({ node: z.string(), origin }),
  /** The release that took it. */
  app: z.string(),
  schema: z.object({ hash: z.string(), sql: z.string() }),
  /** Per origin the versions held, as `1-4,7`. */
  holdings: z.record(origin, spans),
  /** The greatest stamp held, in decimal: it does not fit a JSON number. */
  hlc: z.string().regex(/^\d{1,20}$/),
  /** Of all replicated rows: what a member with these holdings must have. */
  digest: hex,
  /** Rows are counted for a base only. */
  tables: z.record(z.string(), z.object({ rows: count.nullable(), digest: hex })),
  /** The image, or the delta. */
  content,
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ContentDescription = Manifest["content"];
export type ChunkDescription = ContentDescription["chunks"][number];

/** What the taker knows about what it took. */
export interface CheckpointFacts {
  readonly level: Level;
  readonly parent: string | null;
  readonly generation: number;
  readonly takenAtMs: number;
  readonly by: { readonly node: string; readonly origin: OriginId };
  readonly app: string;
  readonly schema: { readonly hash: string; readonly sql: string };
  readonly holdings: Holdings;
  readonly hlc: bigint;
  readonly digest: string;
  readonly tables: Readonly<Record<string, { readonly rows: number | null; readonly digest: string }>>;
}

/** Throws `bad-request` when a fact is not what a manifest can record. */
export function buildManifest(cluster: string, facts: CheckpointFacts, described: ContentDescription): Manifest {
  const content = {
    fmt: 1,
    minReader: described.chunks.some(({ copy }) => copy !== undefined) ? READER_OF_COPIES : 1,
    cluster,
    generation: facts.generation,
    level: facts.level,
    parent: facts.parent,
    takenAtMs: facts.takenAtMs,
    by: { node: facts.by.node, origin: facts.by.origin },
    app: facts.app,
    schema: { hash: facts.schema.hash, sql: facts.schema.sql },
    holdings: writtenHoldings(facts.holdings),
    hlc: facts.hlc.toString(),
    digest: facts.digest,
    tables: facts.tables,
    content: described,
  };
  const parsed = manifestSchema.omit({ id: true }).safeParse(content);
  if (parsed.success) return { ...parsed.data, id: idOf(parsed.data, facts) };
  throw new AppError("bad-request", `not the facts of a checkpoint: ${z.prettifyError(parsed.error)}`);
}

export function manifestBytes(manifest: Manifest): Uint8Array {
  return canonicalBytes(manifest);
}

/**
 * Reads what lies under the manifest's key. Throws `checkpoint-damaged` when it is not what its name says, and
 * `checkpoint-unknown` when only a newer release can read it.
 */
export function parseManifest(cluster: string, id: string, bytes: Uint8Array): Manifest {
  const key = manifestKey(cluster, id);
  const content = contentUnder(key, id, bytes);
  const { minReader } = content;
  if (typeof minReader === "number" && minReader > READER) {
    throw new AppError("checkpoint-unknown", `${key} needs a reader of format ${minReader}; this one reads ${READER}`, {
      hint: "Restore with a newer release of Patina.",
    });
  }
  const parsed = manifestSchema.safeParse(content);
  if (!parsed.success) throw damageError(damaged(key, "a manifest", z.prettifyError(parsed.error)));
  if (parsed.data.cluster !== cluster) throw damageError(damaged(key, `cluster ${cluster}`, parsed.data.cluster));
  return parsed.data;
}

/** Where a chunk of the manifest lies. */
export function chunkKeyOf(
  objects: Pick<ObjectStore, "contentName">,
  cluster: string,
  chunk: ChunkDescription,
): string {
  return chunkKey(cluster, objects.contentName(chunk.id), chunk.copy);
}

/** The holdings of the state that it restores, as gossip uses them. */
export function manifestHoldings(manifest: Manifest): Map<OriginId, Holding> {
  return new Map(Object.entries(manifest.holdings).map(([key, written]) => [key, readHolding(written)]));
}

function contentUnder(key: string, id: string, bytes: Uint8Array): Readonly<Record<string, Json>> {
  const content = parseObject(key, bytes);
  const { id: written, ...rest } = content;
  if (written !== id) throw damageError(damaged(key, `id ${id}`, `id ${JSON.stringify(written)}`));
  const { takenAtMs, generation, level } = rest;
  const computed = idOf(rest, {
    takenAtMs: Number(takenAtMs),
    generation: Number(generation),
    level: typeof level === "string" ? level : "no-level",
  });
  if (computed !== id) throw damageError(damaged(key, `content ${id}`, `content ${computed}`));
  // The hash covers the meaning; this covers the bytes, so that no flipped bit goes unseen.
  const isCanonical = Buffer.from(canonicalJson(content), "utf8").equals(bytes);
  if (!isCanonical) throw damageError(damaged(key, "canonical JSON", "other bytes of the same meaning"));
  return content;
}

function parseObject(key: string, bytes: Uint8Array): Readonly<Record<string, Json>> {
  try {
    const content = z.record(z.string(), z.json()).parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
    canonicalJson(content);
    return content;
  } catch (error) {
    throw damageError(damaged(key, "canonical JSON", `${bytes.length} bytes: ${messageOf(error)}`));
  }
}

function idOf(content: Json, facts: { takenAtMs: number; generation: number; level: string }): string {
  return manifestIdFor(facts, sha256Hex(canonicalJson(content)));
}

function writtenHoldings(holdings: Holdings): Record<OriginId, string> {
  return Object.fromEntries([...holdings].map(([key, holding]) => [key, heldVersions(holding).toString()]));
}

function readHolding(written: string): Holding {
  const held = Ranges.from(
    written.split(",").flatMap((span) => {
      const [low = "", high = low] = span.split("-");
      return low === "" ? [] : [[Number(low), Number(high)] as const];
    }),
  );
  const head = held.spans.at(-1)?.[1] ?? 0;
  return { head, gaps: Ranges.of(1, head).subtract(held) };
}
