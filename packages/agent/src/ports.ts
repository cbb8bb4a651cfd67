/** What an agent needs of the world and cannot have in a pure package: its database. `store` satisfies it. */
import type {
  ApplyOutcome,
  Change,
  ClusterId,
  EmptyVersions,
  Heads,
  Hlc,
  Holdings,
  OriginId,
  Ranges,
  Write,
  WriteOutcome,
} from "@patina/base";

/** Synchronous, so that a step runs to completion. Whatever a method returns is committed. */
export interface StorePort {
  readonly origin: OriginId;
  readonly cluster: ClusterId;
  /** One durable transaction, one outcome per write. Throws `store-failed` when none of them was kept. */
  commit(writes: readonly Write[], wallMs: number): WriteOutcome[];
  /**
   * Joins and marks as held, in one transaction. Throws `store-failed` when nothing of it was kept. `owed` is the basis
   * of what was read back from a peer's rows: rows that later versions of others overwrote are not among them, so the
   * state is whole again only once those are held, too.
   */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[], owed: Heads): ApplyOutcome;
  /** What is held, and what is owed: the basis of anything read back from these rows. */
  basis(): Heads;
  holdings(): Holdings;
  /** The highest stamp issued or observed. */
  highWater(): Hlc;
  /** What is held of `wanted`, oldest first, about `bytesMax` of it. */
  extract(
    origin: OriginId,
    wanted: Ranges,
    bytesMax: number,
  ): { readonly changes: readonly Change[]; readonly empty: Ranges };
  /**
   * The state digest, 64 hex digits: equal holdings must mean equal digests. Undefined while something is owed, or some
   * change that is held could not be applied: then the states may differ, and it is known why.
   */
  comparableDigest(): string | undefined;
}
