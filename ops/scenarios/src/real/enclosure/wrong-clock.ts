/** A wall clock that is wrong, for one process: libfaketime answers for it. Durations, and so timers, stay right. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIBRARY = "libfaketimeMT.so.1";

export function isFakeTimeInstalled(): boolean {
  return (
    existsSync("/usr/lib") && readdirSync("/usr/lib").some((lib) => existsSync(`/usr/lib/${lib}/faketime/${LIBRARY}`))
  );
}

export class WrongClock {
  /** For the environment of a process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** Keeps its offset in a file of that directory. It is right until it is set. */
  constructor(dir: string) {
    this.#file = join(dir, "clock");
    this.set("+0");
    this.env = {
      LD_PRELOAD: `/usr/$LIB/faketime/${LIBRARY}`,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: "1", // Seconds until a step is seen.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /** Off by so much from now on, as libfaketime writes it: `+1h`, `-90s`. */
  set(offset: string): void {
    writeFileSync(this.#file, `${offset}\n`);
  }
}
