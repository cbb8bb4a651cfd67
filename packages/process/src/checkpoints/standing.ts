/**
 * How a cluster stands with its checkpoints, by what its members know of them and not by the store: so that a store which lost
 * what it had, or takes nothing more, shows.
 */
import { isAhead, partsOfId, type Proof } from "@patina/checkpoint";
import type { CheckpointStanding } from "@patina/telemetry";
import type { CheckpointNote, SqliteStore } from "@patina/store";
import type { StoreClock } from "./store-clock.js";

export interface StandingOptions {
  readonly store: Pick<SqliteStore, "digest"> & { readonly checkpoints: Pick<SqliteStore["checkpoints"], "list"> };
  readonly clock: Pick<StoreClock, "estimateMs">;
  /** Asks the store, once: for what was the newest checkpoint when this process began. */
  readonly digestIn: (checkpoint: string) => Promise<string>;
  /** Told when that could not be read: what has been waiting since before is not known then. */
  readonly onUnread: (error: unknown) => void;
}

export class Standing {
  readonly #store: StandingOptions["store"];
  readonly #clock: Pick<StoreClock, "estimateMs">;
  readonly #digestIn: (checkpoint: string) => Promise<string>;
  readonly #onUnread: (error: unknown) => void;
  /** The digest that the newest checkpoint has, and since when the state has another. */
  #covered = { manifest: "", digest: "", changedAtMs: undefined as number | undefined };
  #lastDrill: Proof | undefined;
  #failures = { take: 0, drill: 0, prune: 0 };

  constructor({ store, clock, digestIn, onUnread }: StandingOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#digestIn = digestIn;
    this.#onUnread = onUnread;
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
    this.#follow(newest, nowMs);
    const { changedAtMs } = this.#covered;
    return {
      ageSeconds: secondsSince(nowMs, newest?.atMs),
      behindSeconds: changedAtMs === undefined ? 0 : secondsSince(nowMs, changedAtMs),
      verifiedAgeSeconds: secondsSince(nowMs, verifiedAtMs),
      drillSeconds: this.#lastDrill === undefined ? undefined : this.#lastDrill.tookMs / 1000,
      failures: this.#failures,
    };
  }

  /** What is heard of while this runs was taken of the state as it is just then, or nearly. */
  #follow(newest: CheckpointNote | undefined, nowMs: number): void {
    const { manifest = "", atMs = nowMs } = newest ?? {};
    const digest = this.#store.digest();
    if (manifest !== this.#covered.manifest) {
      if (this.#covered.manifest === "" && manifest !== "") this.#compare(manifest, atMs).catch(this.#onUnread);
      this.#covered = { manifest, digest, changedAtMs: undefined };
    } else if (digest === this.#covered.digest) this.#covered.changedAtMs = undefined;
    else this.#covered.changedAtMs ??= nowMs;
  }

  /** What the process before this one had left uncovered has been waiting since then, for all that is known. */
  async #compare(manifest: string, takenAtMs: number): Promise<void> {
    const digest = await this.#digestIn(manifest);
    if (this.#covered.manifest !== manifest || digest === this.#store.digest()) return;
    this.#covered = { manifest, digest, changedAtMs: takenAtMs };
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
