/**
 * Debts that nobody pays any more. Rows here may be read back from a peer whose later versions had overwritten some of them;
 * when its database is given up before it has sent those, they are lost with it, and what they overwrote may live on in
 * another member's rows only. Such a debt is made out for good, so that no version ever seems to pay it, and ends when the
 * rows of the others have been joined.
 */
import { heldVersions, type OriginId, originId, originNode, type Range, Ranges } from "@patina/base";
import type { Engine, EngineParts } from "../engine.js";
import type { Members } from "./members.js";
import type { WriteGuard } from "../database/write-guard.js";

/** How a debt ends: these versions of the origin count as held from now on. */
export interface Settled {
  readonly origin: OriginId;
  readonly versions: Ranges;
}

type Parts = Pick<EngineParts, "plain" | "origins" | "self" | "sync">;

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

  /** Origins of which something is owed for good: this member knows that they have ended, or one whose rows it was given. */
  list(): OriginId[] {
    this.condemn(); // After a rollback, memory is what the disk has.
    return this.#parts.origins.owing().flatMap(({ isForGood, origin }) => (isForGood ? [origin] : []));
  }

  /** Of an origin, the versions that are not held, and whose rows, or some of them, were joined all the same. */
  joined(origin: OriginId): Ranges {
    const { origins, plain } = this.#parts;
    const { head, gaps } = origins.holding(origin);
    const first = gaps.spans[0]?.[0] ?? head + 1;
    const versions = plain
      .prepare("SELECT DISTINCT version FROM _patina_log WHERE origin = ? AND version >= ?")
      .pluck()
      .all(origins.knownIndex(origin), first) as number[];
    const logged = Ranges.from(versions.map((version): Range => [version, version]));
    return logged.subtract(heldVersions(origins.holding(origin)));
  }

  /** Call it when rows of the members' table have changed. */
  onMembersChanged(): void {
    this.#members.reload();
    this.condemn();
  }

  /**
   * Makes out for good what is owed of origins that have ended; the next transaction writes it down, and a start finds it out
   * anew. Call it when something more may be owed.
   */
  condemn(): void {
    const { origins, self, sync } = this.#parts;
    for (const { origin, isForGood } of origins.owing()) {
      if (isForGood || origin === self || !this.hasEnded(origin)) continue;
      origins.oweForGood(origin);
      sync.isDurable = false;
    }
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
  hasEnded(origin: OriginId): boolean {
    const node = originNode(origin);
    const known = this.#members.enlisted(node);
    if (known === undefined) return false;
    const { origins } = this.#parts;
    const latest = originId(node, known.db);
    if (origin === latest) return known.isEvicted;
    // A row that gives it up bears the stamp of whoever did: a database begun since may have stamped below that.
    const latestStamp = known.isEvicted ? origins.lastStamp(latest) : 0n;
    const stamp = origins.lastStamp(origin);
    // A database that has just begun enlists itself with its first version, and all else of it is stamped later.
    const isKnown = stamp > 0n || origins.holding(origin).head > 0;
    return isKnown && stamp < (latestStamp > 0n ? latestStamp : known.hlc);
  }
}
