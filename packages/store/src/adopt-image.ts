/**
 * Makes an image, and the deltas taken after it, the beginning of a generation. What it becomes is proved against the digests
 * that were taken with it before anybody may use it.
 *
 * The fence: every origin that the image knows is closed where it stands, and stamps go on above a floor. What anybody wrote
 * in the generation before and is not in the image stays out, even if it comes from a copy that takes itself for a member
 * of this one.
 */
import { AppError, type Hlc, messageOf } from "@patina/base";
import Database from "better-sqlite3";
import { scrub } from "./check/scrub.js";
import { readDelta } from "./database/delta.js";
import { type ImageFacts, readFacts } from "./database/image.js";
import { readMeta, writeMeta } from "./database/layout.js";
import { SqliteStore } from "./sqlite-store.js";

export interface AdoptImage {
  readonly cluster: string;
  /** The digest of the image. */
  readonly digest: string;
  /** Deltas to apply to it, in order, each with the digest that the state has after it. */
  readonly deltas?: readonly { readonly path: string; readonly digest: string }[];
  readonly generation: number;
  /**
   * The least stamp of the generation's own changes. Given when a generation opens; without it, the copy joins one that
   * is: it continues the image's, and nothing is closed.
   */
  readonly floor?: Hlc;
}

/** Nobody's id: the copy gets a node's when that opens it. */
const NOBODY = "0".repeat(32);
const NO_DB = "0".repeat(16);

/** Throws `checkpoint-damaged` when the file, its rows or its digest are not what they should be; discard it then. */
export function adoptImage(imagePath: string, adopt: AdoptImage): void {
  const { cluster, digest, deltas = [] } = adopt;
  inImage(imagePath, (image) => checkFacts(image, { cluster, digest }));
  if (deltas.length > 0) applyDeltas(imagePath, adopt, deltas);
  inImage(imagePath, (image) => {
    checkFacts(image, { cluster, digest: deltas.at(-1)?.digest ?? digest });
    checkRows(image); // Once, of what comes out: it reads everything there is.
    openGeneration(image, adopt);
  });
}

function applyDeltas(imagePath: string, { cluster, generation }: AdoptImage, deltas: AdoptImage["deltas"] & {}): void {
  let schemaSql = "";
  inImage(imagePath, (image) => (schemaSql = readMeta(image, "schema") ?? ""));
  const store = new SqliteStore({
    path: imagePath,
    cluster: { name: cluster, generation },
    node: NOBODY,
    newDbId: () => NO_DB,
    schemaSql,
  });
  try {
    for (const { path, digest } of deltas) {
      for (const { changes, empties } of readDelta(path)) store.apply(changes, empties);
      if (store.digest() !== digest) throw damaged(`after ${path} the digest is ${store.digest()}, not ${digest}`);
    }
    store.makeDurable();
  } finally {
    store.close();
  }
}

function openGeneration(image: Database.Database, { generation, floor }: AdoptImage): void {
  image.transaction(() => {
    image.prepare("DELETE FROM _patina_meta WHERE key IN ('node', 'db')").run();
    writeMeta(image, "generation", String(generation));
    if (floor === undefined) return;
    writeMeta(image, "floor", String(floor));
    image.exec("INSERT OR REPLACE INTO _patina_closed SELECT idx, head FROM _patina_origins");
  })();
}

function inImage(imagePath: string, work: (image: Database.Database) => void): void {
  let image: Database.Database;
  try {
    image = new Database(imagePath, { fileMustExist: true });
  } catch (cause) {
    throw damaged(`the image does not open: ${messageOf(cause)}`);
  }
  try {
    work(image);
  } finally {
    image.close();
  }
}

function checkFacts(image: Database.Database, expected: { cluster: string; digest: string }): void {
  let facts: ImageFacts;
  try {
    facts = readFacts(image);
  } catch (cause) {
    throw damaged(`the image cannot be read: ${messageOf(cause)}`);
  }
  if (facts.cluster !== expected.cluster) throw damaged(`it is of cluster ${facts.cluster}, not ${expected.cluster}`);
  if (facts.digest !== expected.digest) throw damaged(`its digest is ${facts.digest}, not ${expected.digest}`);
}

function checkRows(image: Database.Database): void {
  const check = image.pragma("quick_check(1)", { simple: true });
  if (check !== "ok") throw damaged(`quick_check says ${String(check)}`);
  const [finding] = scrub(image);
  if (finding === undefined) return;
  throw damaged(`the rows of ${finding.table} (bucket ${finding.bucket}) do not add up to its digest`);
}

function damaged(what: string): AppError {
  return new AppError("checkpoint-damaged", what, {
    hint: "Restore from an earlier checkpoint; run `checkpoint verify`.",
  });
}
