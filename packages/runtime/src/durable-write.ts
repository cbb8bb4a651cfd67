/** Small files that must be there, as they were or as they are to be, whenever the power goes. */
import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, writeFileSync } from "node:fs";
import { moveDurably } from "@patina/store";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whoever reads it meanwhile sees the old content or the new. `mode` left out, the process's own mask decides; `owner` left
 * out, it is this process's. Throws EPERM, and changes nothing, where the process may not give it to `owner`.
 */
export function writeDurably(path: string, text: string, mode?: number, owner?: Owner): void {
  const aside = `${path}.new`;
  const file = openSync(aside, "w", mode);
  try {
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
    if (mode !== undefined) fchmodSync(file, mode); // A file left over from a run that was killed keeps the mode that it had.
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  moveDurably(aside, path);
}
