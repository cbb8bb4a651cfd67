/** What an agent needs of the world and cannot have in a pure package: its database. `store` satisfies it. */
import type {
  ApplyOutcome,
  Change,
  ClusterId,
  EmptyVersions,
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
  /** Joins and marks as held, in one transaction. Throws `store-failed` when nothing of it was kept. */
  apply(changes: readonly Change[], empties: readonly EmptyVersions[]): ApplyOutcome;
  holdings(): Holdings;
  /** What is held of `wanted`, oldest first, about `bytesMax` of it. */
  extract(
    origin: OriginId,
    wanted: Ranges,
    bytesMax: number,
  ): { readonly changes: readonly Change[]; readonly empty: Ranges };
  /**
   * The state digest, 64 hex digits: equal holdings must mean equal digests. Undefined while some change that is held
   * could not be applied here, since then the states differ and everybody knows why.
   */
  comparableDigest(): string | undefined;
}
