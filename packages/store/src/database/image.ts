/**
 * An image: a consistent copy of a database that any node can start from. `VACUUM INTO` reads one snapshot, whatever is
 * being written meanwhile; what belongs to the node that made it is stripped, what it knows of origins is kept.
 */
import { heldVersions } from "@patina/base";
import Database from "better-sqlite3";
import { Digest, sumText } from "../check/digest.js";
import { tablesOf } from "../schema/hidden.js";
import { readMeta } from "./layout.js";
import { CHECKPOINTS_TABLE } from "../log/checkpoint-notes.js";
import { MEMBERS_TABLE } from "../log/members.js";
import { Origins } from "../log/origins.js";
import { parseSchema } from "../schema/schema.js";
import { quoteName } from "../sql/tokens.js";

/** Tables of the cluster's own affairs: no part of the digest of its data, since a restore changes them. */
export const OWN_TABLES: readonly string[] = [MEMBERS_TABLE.name, CHECKPOINTS_TABLE.name];

export interface ImageFacts {
  readonly cluster: string;
  readonly generation: number;
  readonly schema: { readonly hash: string; readonly sql: string };
  /** False while its rows depend on changes that it does not hold yet. */
  readonly isWhole: boolean;
  /** Per origin, the held versions as text: `1-40,42`. */
  readonly holdings: Readonly<Record<string, string>>;
  /** The highest HLC held, in decimal. */
  readonly hlc: string;
  /** The state digest, 64 hex digits. */
  readonly digest: string;
  readonly tables: Readonly<Record<string, { readonly rows: number | null; readonly digest: string }>>;
}

/**
 * Writes an image of the database at `path` to `imagePath`, which must not exist, and says what is in it. It blocks for
 * as long as copying takes: run it in a worker.
 */
export function takeImage(path: string, imagePath: string): ImageFacts {
  const source = new Database(path, { readonly: true, fileMustExist: true });
  try {
    source.prepare("VACUUM INTO ?").run(imagePath);
  } finally {
    source.close();
  }
  const image = new Database(imagePath, { fileMustExist: true });
  try {
    image.prepare("DELETE FROM _patina_meta WHERE key IN ('node', 'db')").run();
    image.prepare("DELETE FROM _patina_fenced").run();
    return readFacts(image, "with rows counted");
  } finally {
    image.close();
  }
}

/** What a manifest says of a database, read in the transaction that is open, if one is. Counting rows reads all of them. */
export function readFacts(db: Database.Database, extent: "with rows counted" | "cheaply" = "cheaply"): ImageFacts {
  const sql = readMeta(db, "schema") ?? "";
  const schema = parseSchema(sql);
  const origins = new Origins(db);
  const digest = new Digest(db);
  const sums = new Map(digest.tables());
  const tables = tablesOf(db, schema).map(({ name, rowsTable }) => {
    const digest = sums.get(name) ?? sumText(0n);
    if (extent === "cheaply") return [name, { rows: null, digest }] as const;
    const rows = db
      .prepare(`SELECT count(*) FROM ${quoteName(rowsTable)}`)
      .pluck()
      .get() as number;
    return [name, { rows, digest }] as const;
  });
  const holdings = [...origins.holdings()].map(([origin, holding]) => {
    return [origin, heldVersions(holding).toString()] as const;
  });
  return {
    cluster: readMeta(db, "cluster") ?? "",
    generation: Number(readMeta(db, "generation") ?? 0),
    schema: { hash: schema.hash, sql },
    isWhole: origins.isWhole,
    holdings: Object.fromEntries(holdings.sort((a, b) => (a[0] < b[0] ? -1 : 1))),
    hlc: String(origins.highWater()),
    digest: digest.total(OWN_TABLES).toString("hex"),
    tables: Object.fromEntries(tables),
  };
}
