/**
 * Stands between agent and store, passes everything on, and says what it saw: what was committed and what that made of the
 * rows, what was applied and whether it was its turn. The checkers judge by it; the agent and the store know nothing of it.
 */
import {
  AppError,
  type ApplyOutcome,
  type Change,
  type ChangedRow,
  type EmptyVersions,
  type Heads,
  type Hlc,
  hlcFromMs,
  type Holdings,
  holds,
  type OriginId,
  type Ownership,
  Ranges,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type { StorePort } from "@patina/agent";
import type { GossipConfig } from "@patina/gossip";
import type { SqliteStore } from "@patina/store";
import type { PathName } from "../coverage/paths.js";
import { TABLE_COLUMNS } from "./schema.js";

/** A row as a commit left it; without text, the commit deleted it. */
export interface WrittenRow {
  readonly table: string;
  readonly key: string;
  readonly epoch: number;
  readonly owner: string | undefined;
  readonly text: string | undefined;
}

/** A row without owners, or none at all. */
const NOBODYS: Ownership = { epoch: 0, owner: undefined };

export interface WitnessReport {
  committed(change: Change, rows: readonly WrittenRow[]): void;
  /** Something that must never be, by the letter of its rule. */
  broken(rule: string, what: string): void;
  passed(path: PathName): void;
}

export class Witness implements StorePort {
  readonly #store: SqliteStore;
  readonly #gossip: GossipConfig;
  readonly #report: WitnessReport;
  /** The node's wall clock in the step under way. */
  wallMs = 0;
  #hasWritten = true;

  constructor(store: SqliteStore, gossip: GossipConfig, report: WitnessReport) {
    this.#store = store;
    this.#gossip = gossip;
    this.#report = report;
  }

  takeWritten(): boolean {
    const hasWritten = this.#hasWritten;
    this.#hasWritten = false;
    return hasWritten;
  }

  get origin(): OriginId {
    return this.#store.origin;
  }

  get cluster(): StorePort["cluster"] {
    return this.#store.cluster;
  }

  get isWhole(): boolean {
    return this.#store.isWhole;
  }

  get debts(): StorePort["debts"] {
    const { debts } = this.#store;
    return {
      list: () => debts.list(),
      joined: (origin) => debts.joined(origin),
      hasEnded: (origin) => debts.hasEnded(origin),
      settle: (settled) => {
        this.#hasWritten = true;
        debts.settle(settled);
        this.#report.passed("what a lost node left owing was made up for");
        if (settled.some(({ versions }) => !versions.isEmpty)) {
          this.#report.passed("more of a lost node's versions counted as held once it was made up for");
        }
      },
    };
  }

  get members(): StorePort["members"] {
    return this.#store.members;
  }

  get isDurable(): boolean {
    return this.#store.isDurable;
  }

  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    this.#hasWritten = true;
    const outcomes = this.#store.commit(writes, wallMs);
    for (const outcome of outcomes) {
      if (outcome.ok && outcome.change !== undefined) {
        this.#report.committed(
          outcome.change,
          outcome.rows.flatMap((row) => this.#read(row)),
        );
      }
    }
    return outcomes;
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ApplyOutcome {
    this.#hasWritten = true;
    const before = this.#store.holdings();
    const latest = this.#latestAccepted();
    for (const { origin, version, hlc } of changes) {
      if (holds(before.get(origin), version)) this.#report.broken("B1", `version ${version} of ${origin} came twice`);
      if (hlc > latest) this.#report.broken("H1", `version ${version} of ${origin} was applied before its time`);
    }
    const outcome = this.#store.apply(changes, empties, owed);
    if (owed.size > 0) this.#report.passed("a gap was filled from a peer's rows");
    if (empties.length > 0) this.#report.passed("versions with nothing left to say were skipped");
    this.#checkPrefixes(changes, before);
    return outcome;
  }

  snapshot(after: Uint8Array | undefined, bytesMax: number): ReturnType<StorePort["snapshot"]> {
    return this.#store.snapshot(after, bytesMax);
  }

  join(changes: readonly Change[], owed: Heads): ApplyOutcome {
    this.#hasWritten = true;
    const latest = this.#latestAccepted();
    for (const { origin, version, hlc } of changes) {
      if (hlc > latest)
        this.#report.broken("H1", `rows of version ${version} of ${origin} were joined before their time`);
    }
    const before = [...this.#store.holdings()].map(([origin, { head }]) => `${origin}:${head}`).join();
    const outcome = this.#store.join(changes, owed);
    const after = [...this.#store.holdings()].map(([origin, { head }]) => `${origin}:${head}`).join();
    if (before !== after) this.#report.broken("C7", "a piece of a snapshot counted as held");
    this.#report.passed("a member took a peer's rows");
    return outcome;
  }

  quarantinedIn(origin: OriginId): Ranges {
    return this.#store.quarantinedIn(origin);
  }

  basis(): Heads {
    return this.#store.basis();
  }

  holdings(): Holdings {
    return this.#store.holdings();
  }

  highWater(): Hlc {
    return this.#store.highWater();
  }

  extract(origin: OriginId, wanted: Ranges, bytesMax: number): ReturnType<StorePort["extract"]> {
    return this.#store.extract(origin, wanted, bytesMax);
  }

  comparableDigest(): string | undefined {
    return this.#store.comparableDigest();
  }

  makeDurable(): void {
    this.#hasWritten = true;
    this.#store.makeDurable();
  }

  noteStable(heads: Heads, before: Hlc): void {
    this.#report.passed("a version was known to be everywhere");
    this.#store.noteStable(heads, before);
  }

  maintain(keysMax: number): boolean {
    const before = this.#tombstones();
    try {
      const isMore = this.#store.maintain(keysMax);
      if (isMore) this.#hasWritten = true;
      if (this.#tombstones() < before) this.#report.passed("a deletion was forgotten");
      return isMore;
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === "store-failed") return false; // The next step says so.
      throw thrown;
    }
  }

  /** The whole prefix is there, but for what a snapshot left out: applying a change opens no gap. */
  #checkPrefixes(touched: readonly { readonly origin: OriginId }[], before: Holdings): void {
    const holdings = this.#store.holdings();
    for (const { origin } of touched) {
      const gaps = holdings.get(origin)?.gaps ?? Ranges.empty;
      const isNew = !gaps.subtract(before.get(origin)?.gaps ?? Ranges.empty).isEmpty;
      if (isNew) this.#report.broken("B1", `${origin} was applied with a gap`);
    }
  }

  #latestAccepted(): Hlc {
    const wall = hlcFromMs(this.wallMs);
    const high = this.#store.highWater();
    return (wall > high ? wall : high) + hlcFromMs(this.#gossip.aheadMaxMs);
  }

  #tombstones(): number {
    return Number(this.#store.read("SELECT count(*) FROM _patina_tombstones")[0]?.[0] ?? 0);
  }

  #read({ table, key, kind }: ChangedRow): WrittenRow[] {
    const columns = TABLE_COLUMNS.get(table);
    if (columns === undefined) return [];
    const row = this.#store.read(`SELECT ${columns} FROM ${table} WHERE id = ?`, key)[0];
    if ((row === undefined) !== (kind === "delete"))
      this.#report.broken("C5", `a commit of ${table} is not what is there`);
    const { epoch, owner } = table === "leases" ? (this.#store.ownership(table, key) ?? NOBODYS) : NOBODYS;
    return [{ table, key: String(key[0]), epoch, owner, text: row?.map(String).join("|") }];
  }
}
