/**
 * Which rows are being taken into the map right now, on disk before they are: when the process ends over one of them, the
 * next start knows which, and does not take it again.
 *
 * Plain writes, no fsync: what is feared is the end of the process, and the kernel keeps what was written.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { messageOf } from "@patina/base";
import type { TakingJournal } from "@patina/router";

export class Journal implements TakingJournal {
  readonly #file: number;
  /** What was being taken when the process before this one ended. */
  readonly interrupted: readonly string[];

  constructor(path: string) {
    this.interrupted = readInterrupted(path);
    this.#file = openSync(path, "a+");
    ftruncateSync(this.#file);
  }

  /** Runs `take` with the rows' names on record. When `take` throws the process is about to end: they stay there. */
  during(rows: readonly string[], take: () => void): void {
    writeSync(this.#file, `${JSON.stringify(rows)}\n`);
    take();
    ftruncateSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

function readInterrupted(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw thrown;
  }
  const [line] = text.split("\n");
  if (line === undefined || line === "") return [];
  try {
    return (JSON.parse(line) as unknown[]).map(String);
  } catch (thrown) {
    return [`unreadable: ${messageOf(thrown)}`]; // It ended while writing the names: nothing was taken yet.
  }
}
