/**
 * Debts that nobody pays any more. Rows here may be read back from a peer whose later versions had overwritten some of them;
 * when its database is given up before it has sent those, they are lost with it, and what they overwrote may live on in
 * another member's rows only. Such a debt is made out for good, so that no version ever seems to pay it, and ends when the
 * rows of the others have been joined.
 */
import { heldVersions, type Hlc, type OriginId, originId, originNode, type Range, Ranges } from "@patina/base";
import type { Engine, EngineParts } from "../engine.js";
import type { Members } from "./members.js";
import type { WriteGuard } from "../database/write-guard.js";

/** What this member owes of an origin that ended. */
export interface Debt {
  readonly origin: OriginId;
  /** Versions of it that are not held, and whose rows, or some of them, were joined all the same. */
  readonly joined: Ranges;
}

/** How a debt ends: these versions of the origin count as held from now on. */
export interface Settled {
  readonly origin: OriginId;
  readonly versions: Ranges;
}

type Parts = Pick<EngineParts, "plain" | "origins" | "self">;

export class Debts {
  readonly #parts: Parts;
  readonly #members: Members;
  readonly #guard: WriteGuard;
  readonly #engine: () => Engine;

  constructor(parts: Parts, members: Members, guard: WriteGuard, engine: () => Engine) {
    this.#parts = parts;
    this.#members = members;
    this.#guard = guard;
    this.#engine = engine;
    this.condemn();
  }

  /** What is owed for good: of origins that this member knows to have ended, or one whose rows it was given. */
  list(): Debt[] {
    const owing = this.#parts.origins.owing().filter(({ isForGood }) => isForGood);
    return owing.map(({ origin, index }) => ({ origin, joined: this.#joined(origin, index) }));
  }

  /** Call it when rows of the members' table have changed. */
  onMembersChanged(): void {
    this.#members.reload();
    this.condemn();
  }

  /** Makes out for good what is owed of origins that have ended. Call it when something more may be owed. */
  condemn(): void {
    const { origins, self } = this.#parts;
    const lost = origins
      .owing()
      .filter(({ isForGood, origin }) => !isForGood && origin !== self && this.#hasEnded(origin));
    if (lost.length === 0) return;
    const condemn = (): void => {
      for (const { origin } of lost) origins.oweForGood(origin);
    };
    this.#guard.write(() => this.#engine().transactions.run("NORMAL", condemn));
  }

  /** The rows of the others are here: nothing is owed of these origins any more. Throws `store-busy` and `store-failed`. */
  settle(settled: readonly Settled[]): void {
    const { origins, plain } = this.#parts;
    const settle = (): void => {
      for (const { origin, versions } of settled) {
        origins.hold(origin, versions, 0n, plain);
        if (!versions.isEmpty) origins.setLink(origin, undefined);
        origins.forgive(origin);
      }
    };
    this.#guard.write(() => this.#engine().transactions.run("FULL", settle));
  }

  /** Was its node given up with it, or has that gone on with another database since? */
  #hasEnded(origin: OriginId): boolean {
    const node = originNode(origin);
    const known = this.#members.enlisted(node);
    if (known === undefined) return false;
    if (origin === originId(node, known.db)) return known.isEvicted;
    // A database that has just begun enlists itself with its first version, before which nothing of it is held.
    return !known.isEvicted && this.#isBefore(origin, known.hlc);
  }

  #isBefore(origin: OriginId, hlc: Hlc): boolean {
    const last = this.#parts.origins.lastStamp(origin);
    return last > 0n && last < hlc;
  }

  #joined(origin: OriginId, index: number): Ranges {
    const { origins, plain } = this.#parts;
    const versions = plain
      .prepare("SELECT DISTINCT version FROM _patina_log WHERE origin = ?")
      .pluck()
      .all(index) as number[];
    const logged = Ranges.from(versions.map((version): Range => [version, version]));
    return logged.subtract(heldVersions(origins.holding(origin)));
  }
}
