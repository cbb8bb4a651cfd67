/** Small files that must be there, as they were or as they are to be, whenever the power goes. */
import { closeSync, fchmodSync, fsyncSync, openSync, writeFileSync } from "node:fs";
import { moveDurably } from "@patina/store";

/** Whoever reads it meanwhile sees the old content or the new. `mode` left out, the process's own mask decides. */
export function writeDurably(path: string, text: string, mode?: number): void {
  const aside = `${path}.new`;
  const file = openSync(aside, "w", mode);
  try {
    if (mode !== undefined) fchmodSync(file, mode); // A file left over from a run that was killed keeps the mode that it had.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  moveDurably(aside, path);
}
