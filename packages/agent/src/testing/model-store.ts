/** The store port by the book, for tests of the pure agent: nothing of SQLite, and short enough to be checked by eye. */
import {
  AppError,
  type ApplyOutcome,
  type Change,
  type ClusterId,
  compareStamps,
  type EmptyVersions,
  hash32,
  heldVersions,
  type Hlc,
  HlcClock,
  holdAlso,
  type Holding,
  holds,
  type NodeId,
  NO_HOLDING,
  type OriginId,
  type Range,
  Ranges,
  type Write,
  type WriteOutcome,
} from "@patina/base";
import type { StorePort } from "../ports.js";

export const cluster: ClusterId = { name: "iad", generation: 1 };
export const idOf = (n: number): NodeId => n.toString(16).padStart(32, "0");
export const originOf = (n: number): OriginId => idOf(n) + "0".repeat(16);

/** The port by the book: a register a key, the greatest (hlc, origin, version) wins. A body is "key=value". */
export class ModelStore implements StorePort {
  readonly origin: OriginId;
  readonly cluster = cluster;
  readonly rows = new Map<string, { text: string; hlc: Hlc; origin: OriginId; version: number; epoch: number }>();
  readonly applied: Change[] = [];
  failure: AppError | undefined;
  /** As if a change that is held could not be applied. */
  isQuarantining = false;
  #holdings = new Map<OriginId, Holding>();
  readonly #log = new Map<string, Change>();
  readonly #clock = new HlcClock();

  constructor(node: number) {
    this.origin = originOf(node);
  }

  commit(writes: readonly Write[], wallMs: number): WriteOutcome[] {
    if (this.failure !== undefined) throw this.failure;
    return writes.map((write): WriteOutcome => {
      const row = write.kind === "rows" ? write.rows[0] : undefined;
      if (row === undefined) return { ok: false, error: new AppError("sql-error", "no SQL here") };
      const version = (this.#holdings.get(this.origin)?.head ?? 0) + 1;
      const body = new Uint8Array(Buffer.from(`${String(row.values["id"])}=${String(row.values["value"])}`));
      const change = { origin: this.origin, version, hlc: this.#clock.tick(wallMs), body };
      this.#join(change);
      const rows = [{ table: "t", key: [], kind: "upsert", appBefore: undefined, app: undefined }] as const;
      return { ok: true, rowsAffected: [1], change, rows };
    });
  }

  apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ApplyOutcome {
    if (this.failure !== undefined) throw this.failure;
    for (const change of changes) {
      const { head } = this.#holdings.get(change.origin) ?? NO_HOLDING;
      const isEmptyBefore = empties.some(({ origin, versions }) => origin === change.origin && versions.has(head + 1));
      if (change.version !== head + 1 && !isEmptyBefore) throw new Error(`out of order: ${change.version} on ${head}`);
      this.applied.push(change);
      this.#join(change);
    }
    for (const { origin, versions } of empties) this.#hold(origin, versions);
    return { applied: changes.length, quarantined: [], rows: [] };
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

  highWater(): Hlc {
    return this.#clock.high;
  }

  basis(): ReadonlyMap<OriginId, number> {
    return new Map([...this.#holdings].map(([origin, { head }]) => [origin, head]));
  }

  comparableDigest(): string | undefined {
    return this.isQuarantining ? undefined : this.digest();
  }

  digest(): string {
    const text = [...this.rows].map(([key, row]) => `${key}=${row.text}`).sort().join(); // prettier-ignore
    return hash32(text).toString(16).padStart(64, "0");
  }

  /** As if all of these had been written once and overwritten since. */
  forget(origin: OriginId, versions: Ranges): void {
    this.#hold(origin, versions);
  }

  #join(change: Change): void {
    const [key = "", text = ""] = Buffer.from(change.body).toString().split("=");
    const row = { text, hlc: change.hlc, origin: change.origin, version: change.version, epoch: 0 };
    const last = this.rows.get(key);
    if (last === undefined || compareStamps(row, last) > 0) this.rows.set(key, row);
    this.#clock.observe(change.hlc);
    this.#log.set(`${change.origin}:${change.version}`, change);
    if (holds(this.#holdings.get(change.origin), change.version)) throw new Error("applied twice");
    this.#hold(change.origin, Ranges.of(change.version, change.version));
  }

  #hold(origin: OriginId, versions: Ranges): void {
    this.#holdings.set(origin, holdAlso(this.#holdings.get(origin) ?? NO_HOLDING, versions));
  }
}
