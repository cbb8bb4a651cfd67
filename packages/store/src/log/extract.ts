/**
 * Changes read back for a peer that lacks them. The state itself is what is sent: the log only names the rows that a
 * version wrote, and a version whose rows were all written again later has nothing left and is called empty.
 */
import { type Change, heldVersions, type OriginId, type Range, Ranges } from "@patina/base";
import type { ClosedOrigins } from "./closed-origins.js";
import type { LogReader } from "./log-reader.js";
import type { Origins } from "./origins.js";
import type { Quarantine } from "../apply/quarantine.js";
import { encodeBody, type RowChange } from "../rows/row-codec.js";

/** Versions read at a time: few while they are large, many while they say little, so that a step stays short. */
const WINDOW_VERSIONS_MIN = 4;
const WINDOW_VERSIONS_MAX = 1024;

export interface Extract {
  readonly changes: readonly Change[];
  /** Versions held here with nothing left to say. */
  readonly empty: Ranges;
}

export class Extractor {
  readonly #origins: Origins;
  readonly #log: LogReader;
  readonly #quarantine: Quarantine;
  readonly #closed: ClosedOrigins;

  constructor(log: LogReader, origins: Origins, quarantine: Quarantine, closed: ClosedOrigins) {
    this.#closed = closed;
    this.#origins = origins;
    this.#log = log;
    this.#quarantine = quarantine;
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
    for (const logged of this.#log.read(index, low, high)) {
      const rows = rowsByVersion.get(logged.version);
      if (rows === undefined) rowsByVersion.set(logged.version, [logged.row]);
      else rows.push(logged.row);
    }
    const rebuild = (version: number, rows: readonly RowChange[]): Change => {
      const hlc = this.#closed.stampOf(index, rows);
      return { origin, version, hlc, body: encodeBody(rows, hlc) };
    };
    const changes = [...rowsByVersion].map(([version, rows]) => recent(version) ?? rebuild(version, rows));
    changes.push(...this.#quarantine.read(origin, index, low, high));
    return changes.sort((a, b) => a.version - b.version);
  }
}
