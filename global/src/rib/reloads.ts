/**
 * Takes every row of the tables into the map anew while the process serves: a piece, then whatever else is waiting. One run
 * at a time; what is asked for during a run begins it again.
 */
import { setImmediate as othersFirst } from "node:timers/promises";
import type { Rib } from "@patina/router";

export class Reloads {
  readonly #rib: Rib;
  #running: Promise<void> | undefined;
  #asked = 0;
  #isClosed = false;

  constructor(rib: Rib) {
    this.#rib = rib;
  }

  /** Resolves once every row was taken as it is after this call. What it throws ends the process, whoever waits. */
  again(): Promise<void> {
    this.#asked++;
    this.#running ??= this.#orEnd(this.#run());
    return this.#running;
  }

  async #orEnd(run: Promise<void>): Promise<void> {
    return run.catch((thrown: unknown) => {
      // Before anything else is taken: what the journal says of the row that it ends over must stay.
      queueMicrotask(() => { throw thrown; }); // prettier-ignore
      throw thrown;
    });
  }

  /** Before the tables close. */
  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    let taken = 0;
    try {
      while (taken !== this.#asked) {
        taken = this.#asked;
        await othersFirst();
        if (this.#isClosed) return;
        for (const _ of this.#rib.reloading()) {
          await othersFirst();
          if (this.#isClosed) return;
          if (taken !== this.#asked) break;
        }
      }
    } finally {
      this.#running = undefined;
    }
  }
}
