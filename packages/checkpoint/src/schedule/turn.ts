/** Whose turn it is: all members agree without a word, and if the first is gone, the next is soon due. */
import { rendezvous } from "@patina/base";
import type { Due } from "./due.js";

/** How many members come before this one for a checkpoint; 0 for the first. `members` holds this one too. */
export function turnOf(self: string, members: readonly string[], cluster: string, { level, period }: Due): number {
  return rendezvous(`${cluster}/${level}/${period}`, members).indexOf(self);
}
