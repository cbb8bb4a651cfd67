/** The latest changes with their exact bytes, so that fan-out and first repairs need not read rows back. */
import { type ApplyOutcome, type Change, changeBytes, type OriginId } from "@patina/base";

export class RecentChanges {
  readonly #bytesMax: number;
  readonly #changes = new Map<string, Change>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A version never changes: one that is here already stays as it is. */
  add(change: Change): void {
    const added = keyOf(change.origin, change.version);
    if (this.#changes.has(added)) return;
    this.#changes.set(added, change);
    this.#bytes += changeBytes(change);
    for (const [key, oldest] of this.#changes) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#changes.delete(key);
      this.#bytes -= changeBytes(oldest);
    }
  }

  /**
   * Adds what was new and could be applied: its bytes are what its rows were made of. What is held already may come again in
   * other bytes, read back from a peer's rows; nobody has looked at those.
   */
  addApplied(fresh: readonly Change[], { quarantined }: ApplyOutcome): void {
    const refused = new Set(quarantined.map(({ change }) => change));
    for (const change of fresh) if (!refused.has(change)) this.add(change);
  }

  get(origin: OriginId, version: number): Change | undefined {
    return this.#changes.get(keyOf(origin, version));
  }
}

function keyOf(origin: OriginId, version: number): string {
  return `${origin}:${version}`;
}
