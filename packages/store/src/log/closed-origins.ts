/**
 * The fence of a generation: where every origin of the generations before was closed, and the floor above which this one
 * stamps. A change beyond it was written in another history, which this one was restored to undo.
 */
import type { Change, Hlc } from "@patina/base";
import type Database from "better-sqlite3";
import { readMeta } from "../database/layout.js";
import type { Origins } from "./origins.js";

export class ClosedOrigins {
  /** Stamps of this generation are greater. */
  readonly floor: Hlc;
  readonly #origins: Origins;
  /** By the origin's dense number, its last version. */
  readonly #heads: ReadonlyMap<number, number>;

  constructor(db: Database.Database, origins: Origins) {
    this.floor = BigInt(readMeta(db, "floor") ?? 0);
    this.#origins = origins;
    const rows = db.prepare("SELECT origin, head FROM _patina_closed").all() as { origin: number; head: number }[];
    this.#heads = new Map(rows.map(({ origin, head }) => [origin, head]));
  }

  /**
   * The stamp of a version that is read back from its rows. Those of this generation were stamped above the floor, but rows may
   * bring stamps of their own, which are older: by these alone a peer would take the version for one of another history.
   */
  stampOf(index: number, rows: readonly { readonly hlc: Hlc }[]): Hlc {
    const high = rows.reduce<Hlc>((highest, { hlc }) => (hlc > highest ? hlc : highest), 0n);
    return this.#heads.has(index) || this.floor === 0n || high > this.floor ? high : this.floor + 1n;
  }

  /** Why the change must not be joined here; undefined when it may. */
  refusal({ origin, version, hlc }: Change): string | undefined {
    if (this.floor === 0n) return undefined;
    const index = this.#origins.knownIndex(origin);
    const head = index === undefined ? undefined : this.#heads.get(index);
    if (head !== undefined) {
      return version > head ? `its origin ended at version ${head}, when this generation began` : undefined;
    }
    return hlc > this.floor ? undefined : "it was written before this generation began, and is not in its checkpoint";
  }
}
