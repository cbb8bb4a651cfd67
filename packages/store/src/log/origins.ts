/**
 * Every origin this database ever heard of: a dense number for its rows' clocks, and what is held of its versions.
 * Memory mirrors the table; a holding changes in the transaction that applied the version, or not at all.
 */
import {
  type Heads,
  type Hlc,
  holdAlso,
  type Holding,
  type Holdings,
  holdsUpTo,
  must,
  NO_HOLDING,
  type OriginId,
  Ranges,
  VERSION_MAX,
} from "@patina/base";
import type Database from "better-sqlite3";
import { FIRST_LINK, type Link } from "../apply/chain.js";
import { SharedStatement } from "../database/shared-statement.js";

const INSERT = new SharedStatement(
  "INSERT INTO _patina_origins (origin, head, gaps, owed, hlc, linked, chain) VALUES (?, 0, '', 0, 0, 0, 0)",
);
const UPDATE = new SharedStatement(
  "UPDATE _patina_origins SET head = ?, gaps = ?, owed = ?, hlc = ?, linked = ?, chain = ? WHERE idx = ?",
);

type Stored = [bigint, string, bigint, string, bigint, bigint, linked: bigint | null, chain: bigint];

interface Known {
  readonly index: number;
  readonly origin: OriginId;
  holding: Holding;
  /** What is here was read back from rows that knew of everything up to this version, at most. */
  owed: number;
  /** Its chain at the last version that was applied with its own bytes; none when a later one was read back from rows. */
  link: Link | undefined;
  /** The latest HLC seen of it: with it, a restart never stamps below what was already out. */
  hlc: Hlc;
}

/** Owed for good: no version will ever pay it, and whoever reads these rows owes it, too. */
const FOR_GOOD = VERSION_MAX;

export class Origins {
  readonly #db: Database.Database;
  readonly #byOrigin = new Map<OriginId, Known>();
  readonly #byIndex = new Map<number, Known>();
  readonly #changed = new Set<Known>();
  #view: Holdings | undefined;

  constructor(db: Database.Database) {
    this.#db = db;
    this.reload();
  }

  reload(): void {
    this.#byOrigin.clear();
    this.#byIndex.clear();
    this.#changed.clear();
    this.#view = undefined;
    const statement = this.#db.prepare(
      "SELECT idx, origin, head, gaps, owed, hlc, linked, chain FROM _patina_origins ORDER BY idx",
    );
    for (const row of statement.raw().safeIntegers(true).all() as Stored[]) {
      const [index, origin, head, gaps, owed, hlc, linked, chain] = row;
      const holding = { head: Number(head), gaps: Ranges.parse(gaps) };
      const link = linked === null ? undefined : { version: Number(linked), chain: BigInt.asUintN(64, chain) };
      this.#remember({ index: Number(index), origin, holding, owed: Number(owed), hlc, link });
    }
  }

  /** What is held, by origin. The map is a snapshot: it never changes after it was given out. */
  holdings(): Holdings {
    this.#view ??= new Map(
      [...this.#byOrigin.values()].filter(({ holding }) => holding.head > 0).map((it) => [it.origin, it.holding]),
    );
    return this.#view;
  }

  holding(origin: OriginId): Holding {
    return this.#byOrigin.get(origin)?.holding ?? NO_HOLDING;
  }

  /** The highest HLC of any version held, and of any row joined. */
  highWater(): Hlc {
    let high = 0n;
    for (const { hlc } of this.#byOrigin.values()) if (hlc > high) high = hlc;
    return high;
  }

  /** The origin's dense number, given out on first sight. Call it inside a transaction. */
  indexOf(origin: OriginId, db: Database.Database): number {
    const known = this.#byOrigin.get(origin);
    if (known !== undefined) return known.index;
    const { lastInsertRowid } = INSERT.on(db).run(origin);
    const fresh = { origin, holding: NO_HOLDING, owed: 0, hlc: 0n, link: FIRST_LINK };
    return this.#remember({ index: Number(lastInsertRowid), ...fresh }).index;
  }

  /** The dense number of an origin already known. */
  knownIndex(origin: OriginId): number | undefined {
    return this.#byOrigin.get(origin)?.index;
  }

  /** Versions by the dense numbers of their origins, of those known. */
  byIndex(heads: Heads): Map<number, number> {
    const known = [...heads].map(([origin, head]) => [this.knownIndex(origin), head] as const);
    return new Map(known.filter((it): it is [number, number] => it[0] !== undefined));
  }

  originOf(index: number): OriginId {
    return must(this.#byIndex.get(index), `an origin numbered ${index}`).origin;
  }

  /** Marks versions as held. It becomes durable with the next `flush` of the same transaction. */
  hold(origin: OriginId, versions: Ranges, hlc: Hlc, db: Database.Database): void {
    this.indexOf(origin, db);
    const known = must(this.#byOrigin.get(origin), "an origin just numbered");
    known.holding = holdAlso(known.holding, versions);
    if (hlc > known.hlc) known.hlc = hlc;
    this.#changed.add(known);
    this.#view = undefined;
  }

  /** Notes a stamp of the origin's without holding its version: a row of it was joined. Durable like `hold`. */
  see(origin: OriginId, hlc: Hlc): void {
    const known = must(this.#byOrigin.get(origin), "an origin whose row was joined");
    if (hlc <= known.hlc) return;
    known.hlc = hlc;
    this.#changed.add(known);
  }

  /** The origin's chain so far; undefined when it is not known. */
  link(origin: OriginId): Link | undefined {
    const known = this.#byOrigin.get(origin);
    return known === undefined ? FIRST_LINK : known.link;
  }

  /** Notes the chain at the version just held; none when that was read back from rows. Durable like `hold`. */
  setLink(origin: OriginId, link: Link | undefined): void {
    const known = must(this.#byOrigin.get(origin), "an origin that is held");
    known.link = link;
    this.#changed.add(known);
  }

  /** Notes that the state is whole only once this version of the origin is held. Durable like `hold`. */
  owe(origin: OriginId, head: number, db: Database.Database): void {
    this.indexOf(origin, db);
    const known = must(this.#byOrigin.get(origin), "an origin just numbered");
    if (head <= known.owed || holdsUpTo(known.holding, head)) return;
    known.owed = head;
    this.#changed.add(known);
  }

  /** Is everything held that the rows here depend on? */
  get isWhole(): boolean {
    for (const { holding, owed } of this.#byOrigin.values()) if (!holdsUpTo(holding, owed)) return false;
    return true;
  }

  /** Origins of which something is owed; for good when no version can pay it any more. */
  owing(): { readonly origin: OriginId; readonly isForGood: boolean }[] {
    return [...this.#byOrigin.values()]
      .filter(({ holding, owed }) => !holdsUpTo(holding, owed))
      .map(({ origin, owed }) => ({ origin, isForGood: owed === FOR_GOOD }));
  }

  /** What is owed of the origin is lost. Durable like `hold`. */
  oweForGood(origin: OriginId): void {
    this.#setOwed(origin, FOR_GOOD);
  }

  /** Nothing is owed of the origin any more. Durable like `hold`. */
  forgive(origin: OriginId): void {
    this.#setOwed(origin, 0);
  }

  /** The latest stamp seen of the origin; 0 before the first. */
  lastStamp(origin: OriginId): Hlc {
    return this.#byOrigin.get(origin)?.hlc ?? 0n;
  }

  /** By origin, what is held or owed, whichever is more. */
  basis(): Map<OriginId, number> {
    return new Map([...this.#byOrigin.values()].map((it) => [it.origin, Math.max(it.holding.head, it.owed)]));
  }

  /** Writes the changed holdings. Call it inside the transaction, before its commit. */
  flush(db: Database.Database): void {
    const statement = UPDATE.on(db);
    for (const { holding, owed, hlc, link, index } of this.#changed) {
      const chain = BigInt.asIntN(64, link?.chain ?? 0n);
      statement.run(holding.head, holding.gaps.toString(), owed, hlc, link?.version ?? null, chain, index);
    }
    this.#changed.clear();
  }

  #setOwed(origin: OriginId, owed: number): void {
    const known = must(this.#byOrigin.get(origin), "an origin that something is owed of");
    known.owed = owed;
    this.#changed.add(known);
  }

  #remember(known: Known): Known {
    this.#byOrigin.set(known.origin, known);
    this.#byIndex.set(known.index, known);
    return known;
  }
}
