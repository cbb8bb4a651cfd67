/**
 * Changes read back for a peer that lacks them. The state itself is the log: the (origin, version) index finds what a
 * version still says, and a version whose rows were all written again later has nothing left and is called empty.
 */
import { type Change, heldVersions, type Hlc, type OriginId, type Range, Ranges, type SqlValue } from "@patina/base";
import type Database from "better-sqlite3";
import { CLOCK_COLUMNS, type Table } from "./layout.js";
import type { Origins } from "./origins.js";
import { encodeBody, encodeKey, encodeState, type RowChange } from "./row-codec.js";
import { clockOf } from "./rows.js";
import { quoteName } from "./sql/tokens.js";

/** Versions read at a time: few while they are large, many while they say little, so that a step stays short. */
const WINDOW_VERSIONS_MIN = 4;
const WINDOW_VERSIONS_MAX = 1024;

export interface Extract {
  readonly changes: readonly Change[];
  /** Versions held here with nothing left to say. */
  readonly empty: Ranges;
}

export class Extractor {
  readonly #db: Database.Database;
  readonly #origins: Origins;
  readonly #readers: readonly { readonly table: Table; readonly statement: Database.Statement }[];
  readonly #tombstones: Database.Statement;
  readonly #quarantine: Database.Statement;

  constructor(db: Database.Database, tables: readonly Table[], origins: Origins) {
    this.#db = db;
    this.#origins = origins;
    this.#readers = tables.map((table) => ({ table, statement: this.#reader(table) }));
    const between = "WHERE origin = ? AND version BETWEEN ? AND ?";
    this.#tombstones = this.#raw(`SELECT tbl, key, epoch, hlc, version, app FROM _patina_tombstones ${between}`);
    this.#quarantine = this.#raw(`SELECT version, hlc, body FROM _patina_quarantine ${between}`);
  }

  /**
   * What is held of `wanted`, oldest first, until `bytesMax` of bodies are gathered, and one change
   * more at most. `recent` may hold a version's exact bytes.
   */
  extract(
    origin: OriginId,
    wanted: Ranges,
    bytesMax: number,
    recent: (version: number) => Change | undefined,
  ): Extract {
    const held = wanted.intersect(heldVersions(this.#origins.holding(origin)));
    const index = this.#origins.knownIndex(origin);
    const changes: Change[] = [];
    let empty = Ranges.empty;
    let bytes = 0;
    if (index === undefined) return { changes, empty };
    let window = WINDOW_VERSIONS_MIN;
    for (let rest = held; !rest.isEmpty && bytes < bytesMax;) {
      const [low, last] = rest.spans[0] as Range;
      let high = Math.min(last, low + window - 1);
      const before = bytes;
      const said: Range[] = [];
      for (const change of this.#readWindow(origin, index, low, high, recent)) {
        changes.push(change);
        said.push([change.version, change.version]);
        bytes += change.body.length;
        if (bytes >= bytesMax) high = change.version; // The rest of the window is for the next request.
        if (bytes >= bytesMax) break;
      }
      const isLight = (bytes - before) * 4 < bytesMax;
      window = isLight ? Math.min(window * 2, WINDOW_VERSIONS_MAX) : Math.max(window / 2, WINDOW_VERSIONS_MIN);
      empty = empty.union(Ranges.of(low, high).subtract(Ranges.from(said)));
      rest = rest.subtract(Ranges.of(low, high));
    }
    return { changes, empty };
  }

  #readWindow(
    origin: OriginId,
    index: number,
    low: number,
    high: number,
    recent: (version: number) => Change | undefined,
  ): Change[] {
    const rowsByVersion = new Map<number, RowChange[]>();
    const note = (version: bigint, row: RowChange): void => {
      const rows = rowsByVersion.get(Number(version));
      if (rows === undefined) rowsByVersion.set(Number(version), [row]);
      else rows.push(row);
    };
    for (const { table, statement } of this.#readers) {
      for (const row of statement.iterate(index, low, high) as Iterable<SqlValue[]>) noteRow(table, row, note);
    }
    type TombstoneRow = [string, Buffer, bigint, bigint, bigint, string | null];
    for (const row of this.#tombstones.iterate(index, low, high) as Iterable<TombstoneRow>) {
      const [table, key, epoch, hlc, version, app] = row;
      note(version, { table, key, epoch: Number(epoch), hlc, state: undefined, app: app ?? undefined });
    }
    const changes = [...rowsByVersion].map(([version, rows]) => recent(version) ?? rebuild(origin, version, rows));
    for (const row of this.#quarantine.all(index, low, high) as [bigint, bigint, Buffer][]) {
      changes.push({ origin, version: Number(row[0]), hlc: row[1], body: row[2] });
    }
    return changes.sort((a, b) => a.version - b.version);
  }

  #reader(table: Table): Database.Statement {
    const columns = [...table.key, ...table.values.map(({ name }) => name)].map(quoteName).concat(CLOCK_COLUMNS);
    const [, , origin, version] = CLOCK_COLUMNS;
    return this.#raw(
      `SELECT ${columns.join(", ")} FROM ${quoteName(table.rowsTable)}
       WHERE ${origin} = ? AND ${version} BETWEEN ? AND ? ORDER BY ${version}`,
    );
  }

  #raw(sql: string): Database.Statement {
    return this.#db.prepare(sql).raw().safeIntegers(true);
  }
}

function noteRow(table: Table, row: readonly SqlValue[], note: (version: bigint, row: RowChange) => void): void {
  const keyCount = table.key.length;
  const clockAt = keyCount + table.values.length;
  const clock = clockOf(row, clockAt);
  if (clock === undefined) return; // Written around the engine: scrub finds it, peers must not get it.
  note(BigInt(clock.version), {
    table: table.name,
    key: encodeKey(row.slice(0, keyCount)),
    epoch: clock.epoch,
    hlc: clock.hlc,
    state: encodeState(table, row.slice(keyCount, clockAt)),
  });
}

function rebuild(origin: OriginId, version: number, rows: readonly RowChange[]): Change {
  const hlc = rows.reduce<Hlc>((high, row) => (row.hlc > high ? row.hlc : high), 0n);
  return { origin, version, hlc, body: encodeBody(rows, hlc) };
}
