/** A finished file in the place of another, so that after a loss of power there is the one or the other. */
import { closeSync, fsyncSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";

/** `from` must have been flushed, and be in the same directory. */
export function moveDurably(from: string, to: string): void {
  renameSync(from, to);
  const directory = openSync(dirname(to), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
