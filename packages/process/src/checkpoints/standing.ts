/**
 * How a cluster stands with its checkpoints, by what its members know of them and not by the store: so that a store which lost
 * what it had, or takes nothing more, shows.
 */
import { isAhead, partsOfId, type Proof } from "@patina/checkpoint";
import type { CheckpointStanding } from "@patina/telemetry";
import type { SqliteStore } from "@patina/store";
import type { StoreClock } from "./store-clock.js";

export class Standing {
  readonly #store: Pick<SqliteStore, "checkpoints" | "digest">;
  readonly #clock: Pick<StoreClock, "estimateMs">;
  /** The digest when the newest checkpoint was heard of, and since when it is another one. */
  #covered = { manifest: "", digest: "", changedAtMs: undefined as number | undefined };
  #lastDrill: Proof | undefined;
  #failures = { take: 0, drill: 0, prune: 0 };

  constructor(store: Pick<SqliteStore, "checkpoints" | "digest">, clock: Pick<StoreClock, "estimateMs">) {
    this.#store = store;
    this.#clock = clock;
  }

  onFailed(work: "take" | "drill" | "prune"): void {
    this.#failures = { ...this.#failures, [work]: this.#failures[work] + 1 };
  }

  onDrilled(proof: Proof): void {
    this.#lastDrill = proof;
  }

  /** Called now and then: how long changes have been waiting is known as finely as that. */
  look(): CheckpointStanding {
    const nowMs = this.#clock.estimateMs();
    const notes = this.#store.checkpoints.list().filter(({ manifest }) => !isDatedAhead(manifest, nowMs));
    const newest = notes
      .filter(({ level }) => level !== "verified")
      .toSorted((a, b) => a.atMs - b.atMs)
      .at(-1);
    const verified = notes.find(({ level }) => level === "verified");
    const verifiedAtMs = verified === undefined ? undefined : partsOfId(verified.manifest)?.takenAtMs;
    this.#follow(newest?.manifest ?? "", nowMs);
    const { changedAtMs } = this.#covered;
    return {
      ageSeconds: secondsSince(nowMs, newest?.atMs),
      behindSeconds: changedAtMs === undefined ? 0 : secondsSince(nowMs, changedAtMs),
      verifiedAgeSeconds: secondsSince(nowMs, verifiedAtMs),
      drillSeconds: this.#lastDrill === undefined ? undefined : this.#lastDrill.tookMs / 1000,
      failures: this.#failures,
    };
  }

  #follow(manifest: string, nowMs: number): void {
    const digest = this.#store.digest();
    if (manifest !== this.#covered.manifest) this.#covered = { manifest, digest, changedAtMs: undefined };
    else if (digest !== this.#covered.digest && this.#covered.changedAtMs === undefined)
      this.#covered.changedAtMs = nowMs;
  }
}

/** One that a wrong clock dated says nothing of how old the newest is. */
function isDatedAhead(manifest: string, nowMs: number): boolean {
  return isAhead(partsOfId(manifest)?.takenAtMs ?? 0, nowMs);
}

/** Infinite when it never was. */
function secondsSince(nowMs: number, atMs: number | undefined): number {
  return atMs === undefined ? Infinity : Math.max(0, nowMs - atMs) / 1000;
}
