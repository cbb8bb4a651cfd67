/** Lets so many operations run at once; the others wait in order, up to a limit, and beyond it are refused. */
import { AppError } from "@patina/base";

export class Lanes {
  readonly #width: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(width: number, waitingMax: number) {
    this.#width = width;
    this.#waitingMax = waitingMax;
  }

  /** Throws `too-many` when the queue is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next(); // Its lane passes on, so that nobody can push in between.
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#width) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new AppError("too-many", `${this.#waitingMax} operations wait for the object store already`, {
        hint: "Ask again when it has caught up.",
      });
    }
    await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }
}
