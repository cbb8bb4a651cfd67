/** What an agent needs of the world and cannot have in a pure package: its database. `store` satisfies it. */
import type {
  ApplyOutcome,
  Change,
  ClusterId,
  EmptyVersions,
  Heads,
  Hlc,
  Holdings,
  NodeId,
  OriginId,
  Ranges,
  RowWrite,
  Write,
  WriteOutcome,
} from "@patina/base";

/** The cluster's own list of whose copies count, kept as replicated rows. */
export interface MembersPort {
  /** Every node whose copy counts, whether it is up or not. */
  roster(): NodeId[];
  /** Those copies: the databases that they are enlisted with. */
  copies(): readonly OriginId[];
  /** The others gave this database up: nothing of it may be used any more. */
  readonly isSelfEvicted: boolean;
  /** The node was given up, and has not enlisted anew. */
  isNodeEvicted(node: NodeId): boolean;
  /** The node was given up with this database. */
  isEvicted(node: NodeId, origin: OriginId): boolean;
  /** The write that enlists this node; none when it is enlisted already. */
  enlistment(): RowWrite | undefined;
  /** The write that evicts a node; none when it is not there to evict. */
  eviction(node: NodeId): RowWrite | undefined;
}

/** What is owed of origins that were given up before they sent it: no version can pay it any more. */
export interface DebtsPort {
  /** Those origins. */
  list(): OriginId[];
  /** Of one, the versions that are not held, and whose rows, or some of them, were joined all the same. */
  joined(origin: OriginId): Ranges;
  /** The origin writes nothing more: its node was given up with it, or has another database by now. */
  hasEnded(origin: OriginId): boolean;
  /** The debts end, and these versions count as held. Throws `store-failed`. */
  settle(settled: readonly { readonly origin: OriginId; readonly versions: Ranges }[]): void;
}

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
  /** Is everything held that the rows here depend on? */
  readonly isWhole: boolean;
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
   * A piece of all rows, from a cursor on, by the version that wrote each. Whoever joins all pieces has what every version
   * held at the beginning wrote, or what has overwritten it; versions in quarantine left out. Bytes that are no cursor begin
   * anew.
   */
  snapshot(
    after: Uint8Array | undefined,
    bytesMax: number,
  ): { readonly changes: readonly Change[]; readonly next: Uint8Array | undefined };
  /**
   * Joins a piece of a peer's snapshot and marks nothing as held; `owed` is what the peer's rows may depend on. What could
   * not be joined is told as quarantined, and not kept.
   */
  join(changes: readonly Change[], owed: Heads): ApplyOutcome;
  /** Versions of an origin that are held and could not be applied. */
  quarantinedIn(origin: OriginId): Ranges;
  /**
   * The state digest, 64 hex digits: equal holdings must mean equal digests. Undefined while something is owed, or some
   * change that is held could not be applied: then the states may differ, and it is known why.
   */
  comparableDigest(): string | undefined;
  readonly members: MembersPort;
  readonly debts: DebtsPort;
  /** Would all that is held survive a loss of power? */
  readonly isDurable: boolean;
  /** Makes what is held survive a loss of power, before others are told of it. Throws `store-failed`. */
  makeDurable(): void;
  /** All members hold these versions and what could lose to them: what is stamped before `before` may forget its dead. */
  noteStable(heads: Heads, before: Hlc): void;
}
