/**
 * Datagrams that were refused, counted by reason and told of a few times a second: a flood of them must cost the main
 * thread no more than one.
 */
import type { RefusedInput } from "@patina/agent";

const TELL_EVERY_MS = 100;

export class Refusals {
  readonly #tell: (refused: RefusedInput[]) => void;
  /** As many as there are reasons. */
  readonly #byReason = new Map<string, RefusedInput>();

  constructor(tell: (refused: RefusedInput[]) => void) {
    this.#tell = tell;
  }

  note(from: string, reason: string): void {
    if (this.#byReason.size === 0) setTimeout(() => this.#flush(), TELL_EVERY_MS);
    const times = (this.#byReason.get(reason)?.times ?? 0) + 1;
    this.#byReason.set(reason, { kind: "refused", transport: "datagram", from, reason, times });
  }

  #flush(): void {
    const refused = [...this.#byReason.values()];
    this.#byReason.clear();
    this.#tell(refused);
  }
}
