/**
 * The store port by the book, for tests of the pure agent and as the measure of every other store: nothing of SQLite,
 * and short enough to be checked by eye. It passes the suite in `store-suite.ts`.
 */
import {
  AppError,
  type ApplyOutcome,
  ByteReader,
  ByteWriter,
  type Change,
  type ChangedRow,
  type ClusterId,
  compareStamps,
  type EmptyVersions,
  hash32,
  type Heads,
  heldVersions,
  type Hlc,
  HlcClock,
  holdAlso,
  type Holding,
  holds,
  holdsUpTo,
  type NodeId,
  NO_HOLDING,
  type OriginId,
  type Range,
  Ranges,
  type RowWrite,
  type Stamp,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type { DebtsPort, MembersPort, StorePort } from "../ports.js";

const NOBODY: MembersPort = {
  roster: () => [],
  copies: () => [],
  isSelfEvicted: false,
  isNodeEvicted: () => false,
  isEvicted: () => false,
  enlistment: () => undefined,
  eviction: () => undefined,
};

export const cluster: ClusterId = { name: "iad", generation: 1 };
export const idOf = (n: number): NodeId => n.toString(16).padStart(32, "0");
export const originOf = (n: number): OriginId => idOf(n) + "0".repeat(16);

/** What a change says of a row. `text` undefined: it is deleted. */
interface Said {
  readonly key: string;
  readonly epoch: number;
  readonly hlc: Hlc;
  readonly text: string | undefined;
}

/** A register a key, the greatest stamp wins. One table, `t`, with the columns `id` and `value`. */
export class ModelStore implements StorePort {
  /** Nobody is enlisted, unless a test says so. */
  members: MembersPort = NOBODY;
  /** Nothing is owed for good, unless a test says so. */
  debts: DebtsPort = { list: () => [], joined: () => Ranges.empty, hasEnded: () => false, settle: () => undefined };
  isDurable = false;
  readonly stable: { heads: Heads; before: Hlc }[] = [];
  readonly origin: OriginId;
  readonly cluster = cluster;
  readonly rows = new Map<string, Stamp & { text: string }>();
  readonly applied: Change[] = [];
  failure: AppError | undefined;
  /** As if a change that is held could not be applied. */
  isQuarantining = false;
  /** The agent hands over each origin's changes in order and once. A store by itself takes them as they come. */
  isStrict = true;
  readonly #deleted = new Map<string, Stamp>();
  readonly #holdings = new Map<OriginId, Holding>();
  readonly #owed = new Map<OriginId, number>();
  readonly #log = new Map<string, Change>();
  readonly #clock = new HlcClock();

  constructor(node: number) {
    this.origin = originOf(node);
  }

  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    if (this.failure !== undefined) throw this.failure;
    return writes.map((write): WriteOutcome => {
      if (write.kind !== "rows") return { ok: false, error: new AppError("sql-error", "no SQL here") };
      if (write.rows.some(({ table }) => table !== "t")) {
        return { ok: false, error: new AppError("table-unknown", "no such table") };
      }
      const latest = new Map(write.rows.map((row) => [String(row.values["id"]), row]));
      const news = [...latest].filter(([key, row]) => this.#isNews(key, row));
      if (news.length === 0) return { ok: true, rowsAffected: [0], change: undefined, rows: [] };
      const version = (this.#holdings.get(this.origin)?.head ?? 0) + 1;
      for (const [, { stamp }] of news) this.#clock.observe(stamp?.hlc ?? 0n);
      const hlc = this.#clock.tick(wallMs);
      const body = encode(news.map(([key, row]) => this.#said(key, row, hlc)));
      const change = { origin: this.origin, version, hlc, body };
      this.#join(change);
      return { ok: true, rowsAffected: [news.length], change, rows: news.map(() => CHANGED) };
    });
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ApplyOutcome {
    if (this.failure !== undefined) throw this.failure;
    let applied = 0;
    for (const change of changes) {
      const { origin, version } = change;
      const holding = this.#holdings.get(origin) ?? NO_HOLDING;
      if (!this.isStrict && holds(holding, version)) continue;
      const next = holding.head + 1;
      const isEmptyBefore = empties.some((it) => it.origin === origin && it.versions.has(next));
      if (this.isStrict && version !== next && !isEmptyBefore) throw new Error(`out of order: ${version}, not ${next}`);
      this.applied.push(change);
      this.#join(change);
      applied++;
    }
    for (const { origin, versions } of empties) this.#hold(origin, versions);
    for (const [origin, head] of owed) this.#owed.set(origin, Math.max(head, this.#owed.get(origin) ?? 0));
    return { applied, quarantined: [], forked: [], rows: [], conflicts: [] };
  }

  holdings(): ReadonlyMap<OriginId, Holding> {
    return new Map(this.#holdings);
  }

  extract(origin: OriginId, wanted: Ranges, bytesMax: number): { changes: Change[]; empty: Ranges } {
    const held = wanted.intersect(heldVersions(this.#holdings.get(origin) ?? NO_HOLDING));
    const changes: Change[] = [];
    let bytes = 0;
    for (const [low, high] of held.spans) {
      for (let version = low; version <= high && bytes < bytesMax; version++) {
        const change = this.#log.get(`${origin}:${version}`);
        if (change === undefined) continue;
        changes.push(change);
        bytes += change.body.length;
      }
    }
    const said = Ranges.from(changes.map(({ version }): Range => [version, version]));
    return { changes, empty: bytes < bytesMax ? held.subtract(said) : Ranges.empty };
  }

  /** Rows in the order of their keys, the living before the dead; a piece is a row. */
  snapshot(after: Uint8Array | undefined): { changes: Change[]; next: Uint8Array | undefined } {
    const cursor = after === undefined ? "" : new ByteReader(after).text(1 << 20);
    const all: [string, Stamp & { text?: string }][] = [
      ...[...this.rows].map(([key, row]): [string, typeof row] => [`a${key}`, row]),
      ...[...this.#deleted].map(([key, row]): [string, typeof row] => [`b${key}`, row]),
    ];
    const [first, ...rest] = all.filter(([place]) => place > cursor).sort(([a], [b]) => (a < b ? -1 : 1));
    if (first === undefined) return { changes: [], next: undefined };
    const [place, { origin, version, hlc, epoch, text }] = first;
    const body = encode([{ key: place.slice(1), epoch, hlc, text }]);
    const next = rest.length === 0 ? undefined : new ByteWriter().text(place).done();
    return { changes: [{ origin, version, hlc, body }], next };
  }

  join(changes: readonly Change[], owed: Heads): ApplyOutcome {
    if (this.failure !== undefined) throw this.failure;
    for (const change of changes) {
      this.#joinRows(change);
      const id = `${change.origin}:${change.version}`;
      const others = this.#log.get(id);
      const body = encode([...(others === undefined ? [] : decode(others.body)), ...decode(change.body)]);
      this.#log.set(id, { ...change, body });
    }
    for (const [origin, head] of owed) this.#owed.set(origin, Math.max(head, this.#owed.get(origin) ?? 0));
    return { applied: changes.length, quarantined: [], forked: [], rows: [], conflicts: [] };
  }

  quarantinedIn(_origin?: OriginId): Ranges {
    return Ranges.empty;
  }

  highWater(): Hlc {
    return this.#clock.high;
  }

  get isWhole(): boolean {
    return [...this.#owed].every(([origin, head]) => holdsUpTo(this.#holdings.get(origin) ?? NO_HOLDING, head));
  }

  basis(): ReadonlyMap<OriginId, number> {
    const heads = new Map(this.#owed);
    for (const [origin, { head }] of this.#holdings) heads.set(origin, Math.max(head, heads.get(origin) ?? 0));
    return heads;
  }

  makeDurable(): void {
    this.isDurable = true;
  }

  noteStable(heads: Heads, before: Hlc): void {
    this.stable.push({ heads, before });
  }

  comparableDigest(): string | undefined {
    return this.isQuarantining || !this.isWhole ? undefined : this.digest();
  }

  digest(): string {
    const stampOf = (row: Stamp): string => `${row.epoch}/${row.hlc}/${row.origin}/${row.version}`;
    const text = [...this.rows].map(([key, row]) => `${key}=${row.text}@${stampOf(row)}`).sort().join(); // prettier-ignore
    return hash32(text).toString(16).padStart(64, "0");
  }

  /** As if all of these had been written once and overwritten since. */
  forget(origin: OriginId, versions: Ranges): void {
    this.#hold(origin, versions);
  }

  #isNews(key: string, { values, deleted, stamp }: RowWrite): boolean {
    const last = this.rows.get(key) ?? this.#deleted.get(key);
    if (stamp !== undefined && last !== undefined && isOlder(stamp, last)) return false;
    if (deleted !== true) return this.rows.get(key)?.text !== textOf(values);
    const isRecorded = last !== undefined && stamp !== undefined && !isOlder(last, stamp);
    return this.rows.has(key) || (stamp !== undefined && !isRecorded);
  }

  #said(key: string, { values, deleted, stamp }: RowWrite, hlc: Hlc): Said {
    const last = this.rows.get(key) ?? this.#deleted.get(key);
    const isRepair = stamp !== undefined && last?.epoch === stamp.epoch && last.hlc === stamp.hlc;
    const text = deleted === true ? undefined : textOf(values);
    return { key, epoch: stamp?.epoch ?? last?.epoch ?? 0, hlc: stamp ? stamp.hlc + (isRepair ? 1n : 0n) : hlc, text };
  }

  #join(change: Change): void {
    this.#joinRows(change);
    this.#log.set(`${change.origin}:${change.version}`, change);
    if (holds(this.#holdings.get(change.origin), change.version)) throw new Error("applied twice");
    this.#hold(change.origin, Ranges.of(change.version, change.version));
  }

  #joinRows(change: Change): void {
    for (const { key, epoch, hlc, text } of decode(change.body)) {
      const stamp = { epoch, hlc, origin: change.origin, version: change.version };
      const last = this.rows.get(key) ?? this.#deleted.get(key);
      if (last !== undefined && compareStamps(stamp, last) <= 0) continue;
      this.rows.delete(key);
      this.#deleted.delete(key);
      if (text === undefined) this.#deleted.set(key, stamp);
      else this.rows.set(key, { text, ...stamp });
    }
    this.#clock.observe(change.hlc);
  }

  #hold(origin: OriginId, versions: Ranges): void {
    this.#holdings.set(origin, holdAlso(this.#holdings.get(origin) ?? NO_HOLDING, versions));
  }
}

const CHANGED: ChangedRow = { table: "t", key: [], kind: "upsert", appBefore: undefined, app: undefined };

function textOf({ value }: RowWrite["values"]): string {
  return typeof value === "string" ? value : "";
}

function isOlder(a: Pick<Stamp, "epoch" | "hlc">, b: Pick<Stamp, "epoch" | "hlc">): boolean {
  return a.epoch !== b.epoch ? a.epoch < b.epoch : a.hlc < b.hlc;
}

function encode(rows: readonly Said[]): Uint8Array {
  const writer = new ByteWriter().varint(rows.length);
  for (const { key, epoch, hlc, text } of rows) {
    writer.text(key).varint(epoch).u64(hlc).u8(text === undefined ? 0 : 1).text(text ?? ""); // prettier-ignore
  }
  return writer.done();
}

function decode(body: Uint8Array): Said[] {
  const reader = new ByteReader(body);
  return Array.from({ length: reader.count(body.length) }, () => {
    const [key, epoch, hlc] = [reader.text(body.length), reader.varint(), reader.u64()];
    const isLive = reader.u8() === 1;
    const text = reader.text(body.length);
    return { key, epoch, hlc, text: isLive ? text : undefined };
  });
}
