/**
 * What a border may write into the index, judged before anything is written: its own region's rows and no other's, so many
 * a second, none from the future, and none of a generation that is over. A row that is stamped far ahead would win against
 * every honest one until then; one of a region that was replaced would be served until the new one's next audit.
 */
import { type Hlc, hlcToMs, type Now } from "@patina/base";

export interface DoorConfig {
  /** Rows a region may write a second, over time, and at once. A large region's first publication takes a while, then. */
  readonly rowsPerSecond: number;
  readonly rowsBurst: number;
  /** Rows that the index has of one region. */
  readonly rowsMax: number;
  /** How far ahead of our clock a row's stamp may be. As far as a member's own changes may. */
  readonly aheadMaxMs: number;
  /** How far a generation may be ahead of the last one known: each is a restore that somebody has made. */
  readonly generationStepMax: number;
  /** Regions whose use is remembered. When full, the one heard of least recently is forgotten. */
  readonly regionsMax: number;
}

export const defaultDoorConfig: DoorConfig = {
  rowsPerSecond: 5_000,
  rowsBurst: 50_000,
  rowsMax: 1_000_000,
  aheadMaxMs: 60_000,
  generationStepMax: 1_000,
  regionsMax: 1_000,
};

export interface Publication {
  readonly region: string;
  readonly generation: number;
  readonly stamps: readonly Hlc[];
  /** When a heartbeat was sent, Unix ms by its border's clock, as it was signed; its rows have stamps of their own. */
  readonly sentMs?: number | undefined;
}

export interface KnownRegion {
  /** 0 for a region never heard of. */
  readonly generation: number;
  readonly rows: number;
  /** Of its row: stamped with when the last heartbeat was sent. Undefined without one. */
  readonly heartbeat: { readonly generation: number; readonly sentMs: number } | undefined;
}

export type Refusal = {
  readonly code:
    "region-foreign" | "region-replaced" | "request-late" | "too-many" | "clock-ahead" | "generation-ahead";
  readonly reason: string;
};

interface Bucket {
  tokens: number;
  atMs: number;
}

export class Door {
  readonly #config: DoorConfig;
  readonly #buckets = new Map<string, Bucket>();

  constructor(config: DoorConfig = defaultDoorConfig) {
    this.#config = config;
  }

  /** `holder` is the region whose credential came with it; undefined where none is asked for. Undefined lets it in. */
  judge(holder: string | undefined, what: Publication, known: KnownRegion, now: Now): Refusal | undefined {
    const { region, generation, stamps } = what;
    const { aheadMaxMs, generationStepMax, rowsMax } = this.#config;
    if (holder !== undefined && holder !== region) {
      return { code: "region-foreign", reason: `region ${holder} may not write rows of region ${region}` };
    }
    if (generation < known.generation) {
      const reason = `region ${region} was replaced: generation ${known.generation} publishes, this is ${generation}`;
      return { code: "region-replaced", reason };
    }
    if (isLate(what, known.heartbeat)) {
      return { code: "request-late", reason: `region ${region} has sent this heartbeat before, or a later one` };
    }
    if (generation > known.generation + generationStepMax) {
      return { code: "generation-ahead", reason: `generation ${generation} does not follow ${known.generation}` };
    }
    const latestMs = stamps.reduce((latest, stamp) => Math.max(latest, hlcToMs(stamp)), 0);
    if (latestMs > now.wallMs + aheadMaxMs) {
      const aheadMs = Math.round(latestMs - now.wallMs);
      return { code: "clock-ahead", reason: `a row is stamped ${aheadMs} ms ahead of this agent's clock` };
    }
    if (known.rows > rowsMax) {
      return { code: "too-many", reason: `the index has ${known.rows} rows of region ${region}, at most ${rowsMax}` };
    }
    if (!this.#take(region, Math.max(1, stamps.length), now.monotonicMs)) {
      return {
        code: "too-many",
        reason: `region ${region} writes more than ${this.#config.rowsPerSecond} rows a second`,
      };
    }
    return undefined;
  }

  /** A token bucket: what is not used is saved up to the burst. */
  #take(region: string, rows: number, nowMs: number): boolean {
    const { rowsPerSecond, rowsBurst, regionsMax } = this.#config;
    const before = this.#buckets.get(region) ?? { tokens: rowsBurst, atMs: nowMs };
    const tokens = Math.min(rowsBurst, before.tokens + ((nowMs - before.atMs) / 1000) * rowsPerSecond);
    const isEnough = tokens >= rows;
    this.#buckets.delete(region);
    this.#buckets.set(region, { tokens: isEnough ? tokens - rows : tokens, atMs: nowMs });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > regionsMax && oldest !== undefined) this.#buckets.delete(oldest);
    return isEnough;
  }
}

/** A heartbeat from before the last, or that one: delayed, or recorded and sent again. */
function isLate({ generation, sentMs }: Publication, last: KnownRegion["heartbeat"]): boolean {
  return sentMs !== undefined && generation === last?.generation && Math.floor(sentMs) <= last.sentMs;
}
