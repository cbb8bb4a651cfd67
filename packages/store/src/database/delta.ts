/**
 * A delta: all that changed in a database since an earlier state of its cluster, as a file. It says what anti-entropy would,
 * read in one go: applied to a copy that holds that earlier state, it makes exactly the state that was read.
 *
 *   file := magic, (length u32, part)…
 *   part := count varint, changes…, (0 | 1, origin, ranges text)
 *
 * What was overwritten since is left out, and its version named as empty, so a delta over an hour is not longer than what
 * changed in that hour.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import {
  AppError,
  ByteReader,
  ByteWriter,
  type Change,
  changeBytes,
  type EmptyVersions,
  heldVersions,
  type Holdings,
  MalformedError,
  NO_HOLDING,
  type OriginId,
  Ranges,
  readChange,
  writeChange,
} from "@patina/base";
import Database from "better-sqlite3";
import { Quarantine } from "../apply/quarantine.js";
import { ClosedOrigins } from "../log/closed-origins.js";
import { Extractor } from "../log/extract.js";
import { LogReader } from "../log/log-reader.js";
import { Origins } from "../log/origins.js";
import { Aside } from "../rows/aside.js";
import { Extras } from "../rows/extras.js";
import { Marks } from "../rows/marks.js";
import { rowsOf } from "../rows/rows.js";
import { tablesOf } from "../schema/hidden.js";
import { parseSchema } from "../schema/schema.js";
import { type ImageFacts, readFacts } from "./image.js";
import { readMeta, type Table } from "./layout.js";

export interface DeltaLimits {
  /** Changes that a delta may have. Applying them costs more than an image beyond that. */
  readonly changesMax: number;
}

export const DEFAULT_DELTA_LIMITS: DeltaLimits = { changesMax: 200_000 };

export type Delta =
  | { readonly kind: "delta"; readonly facts: ImageFacts; readonly changes: number; readonly bytes: number }
  /**
   * `behind`: the earlier state holds what this database does not. `collected`: a deletion since is forgotten already.
   * `too-long`: more changes than a delta may have.
   */
  | { readonly kind: "behind" | "collected" | "too-long" };

const MAGIC = Buffer.from("patina-delta-1\n", "latin1");
/** Bodies per part, about: what is in memory at once. */
const PART_BYTES = 1 << 20;
const PART_BYTES_MAX = 64 << 20;
const RANGES_TEXT_MAX = 1 << 20;
const ORIGIN_DIGITS = 48;

/**
 * Writes what `path` has beyond `since` to the new file `deltaPath`, as of one moment. It only reads the database and blocks
 * for as long as that takes: run it in a worker.
 */
export function takeDelta(path: string, since: Holdings, deltaPath: string, limits = DEFAULT_DELTA_LIMITS): Delta {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    db.exec("BEGIN");
    const origins = new Origins(db);
    const problem = unfit(db, origins, since);
    if (problem !== undefined) return { kind: problem };
    const writer = new DeltaWriter(deltaPath);
    try {
      const { extractor } = extractorOf(db, origins);
      for (const [origin, holding] of origins.holdings()) {
        let wanted = heldVersions(holding).subtract(heldVersions(since.get(origin) ?? NO_HOLDING));
        while (!wanted.isEmpty) {
          const { changes, empty } = extractor.extract(origin, wanted, PART_BYTES, () => undefined);
          writer.part(changes, empty.isEmpty ? undefined : { origin, versions: empty });
          if (writer.changes > limits.changesMax) return { kind: "too-long" };
          wanted = wanted.subtract(empty).subtract(Ranges.from(changes.map(({ version }) => [version, version])));
        }
      }
      return { kind: "delta", facts: readFacts(db), changes: writer.changes, bytes: writer.bytes };
    } finally {
      writer.close();
    }
  } finally {
    db.close();
  }
}

function unfit(db: Database.Database, origins: Origins, since: Holdings): "behind" | "collected" | undefined {
  if (!origins.isWhole) return "behind";
  for (const [origin, holding] of since) {
    if (!heldVersions(holding).subtract(heldVersions(origins.holding(origin))).isEmpty) return "behind";
  }
  const collected = db.prepare("SELECT origin, version FROM _patina_collected").all() as {
    origin: number;
    version: number;
  }[];
  const isForgotten = collected.some(({ origin, version }) => {
    const before = since.get(origins.originOf(origin)) ?? NO_HOLDING;
    return before.head < version || !Ranges.of(1, version).intersect(before.gaps).isEmpty;
  });
  return isForgotten ? "collected" : undefined;
}

/** Reads versions back on a connection that only reads, and says which tables their rows are of. */
export function extractorOf(
  db: Database.Database,
  origins: Origins,
): { readonly extractor: Extractor; readonly tables: ReadonlyMap<string, Table> } {
  const waiting = { extras: new Extras(db), aside: new Aside(db) };
  const tables = tablesOf(db, parseSchema(readMeta(db, "schema") ?? ""));
  const reader = new LogReader(db, rowsOf(db, tables, waiting), waiting.aside, new Marks(db));
  const extractor = new Extractor(reader, origins, new Quarantine(db, origins), new ClosedOrigins(db, origins));
  return { extractor, tables: new Map(tables.map((table) => [table.name, table])) };
}

class DeltaWriter {
  changes = 0;
  bytes = 0;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "wx");
    this.#write(MAGIC);
  }

  part(changes: readonly Change[], empty: EmptyVersions | undefined): void {
    const length = changes.reduce((sum, change) => sum + changeBytes(change), 256);
    const writer = new ByteWriter(length).varint(changes.length);
    for (const change of changes) writeChange(writer, change);
    if (empty === undefined) writer.u8(0);
    else writer.u8(1).hex(empty.origin).text(empty.versions.toString());
    const part = writer.done();
    this.#write(new ByteWriter(4).u32(part.length).done());
    this.#write(part);
    this.changes += changes.length;
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file, bytes, at);
    this.bytes += bytes.length;
  }
}

export interface DeltaPart {
  readonly changes: readonly Change[];
  readonly empties: readonly EmptyVersions[];
}

/** The parts of a delta file, in order. Throws `checkpoint-damaged` when it is not one. */
export function* readDelta(path: string): Generator<DeltaPart, void, void> {
  const file = openSync(path, "r");
  try {
    const magic = readAll(file, MAGIC.length);
    if (magic === undefined || !MAGIC.equals(magic)) throw new MalformedError("not a delta");
    for (;;) {
      const length = readAll(file, 4);
      if (length === undefined) return;
      yield readPart(file, new ByteReader(length).u32());
    }
  } catch (thrown) {
    if (!(thrown instanceof MalformedError)) throw thrown;
    throw new AppError("checkpoint-damaged", `${path} is no delta that can be applied: ${thrown.message}`, {
      cause: thrown,
      hint: "Restore another checkpoint; `patina checkpoint verify` says which ones are whole.",
    });
  } finally {
    closeSync(file);
  }
}

function readPart(file: number, length: number): DeltaPart {
  if (length > PART_BYTES_MAX) throw new MalformedError(`a part of ${length} bytes`);
  const bytes = readAll(file, length);
  if (bytes === undefined) throw new MalformedError("it ends within a part");
  const reader = new ByteReader(bytes);
  const changes: Change[] = [];
  for (let left = reader.count(length); left > 0; left--) changes.push(readChange(reader, length));
  const empties: EmptyVersions[] = [];
  if (reader.u8() === 1) {
    const origin: OriginId = reader.hex(ORIGIN_DIGITS);
    empties.push({ origin, versions: Ranges.parse(reader.text(RANGES_TEXT_MAX)) });
  }
  return { changes, empties };
}

/** Undefined at the end of the file. */
function readAll(file: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const read = readSync(file, bytes, at, length - at, null);
    if (read === 0 && at === 0) return undefined;
    if (read === 0) throw new MalformedError("it ends within a part");
    at += read;
  }
  return bytes;
}
