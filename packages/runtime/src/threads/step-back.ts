/** For a thread whose work takes seconds of a core: those who are waited for must not feel it. */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** As `nice` has it: every other thread that has something to do goes first. */
const NICE = 15;

/** On Linux the calling thread has a priority of its own; elsewhere it is as good as any. */
export function stepBack(): void {
  if (process.platform !== "linux") return;
  const thread = readlinkSync("/proc/thread-self").split("/").at(-1);
  setPriority(Number(thread), NICE);
}
