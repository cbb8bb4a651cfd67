/**
 * Removing a large file beside others that are written. A file system that gives up a gigabyte at once holds every flush
 * behind it until that is done: 80 to 300 ms were seen. Step by step nobody waits for more than a step.
 */
import { existsSync } from "node:fs";
import { rm, stat, truncate } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

export const STEP_BYTES = 16 << 20;
const PAUSE_MS = 20;

/** Does nothing when there is no such file. */
export async function removeGently(path: string): Promise<void> {
  if (!existsSync(path)) return;
  for (let left = (await stat(path)).size - STEP_BYTES; left > 0; left -= STEP_BYTES) {
    await truncate(path, left);
    await delay(PAUSE_MS);
  }
  await rm(path, { force: true });
}
