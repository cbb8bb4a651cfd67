/** Whose turn it is: all members agree without a word, and if the first is gone, the next is soon due. */
import { rendezvous } from "@patina/base";
import type { Work } from "../manifest/keys.js";

/** How many members come before this one for a piece of work; 0 for the first. `members` holds this one too. */
export function turnOf(
  self: string,
  members: readonly string[],
  cluster: string,
  { work, period }: { readonly work: Work; readonly period: number },
): number {
  return rendezvous(`${cluster}/${work}/${period}`, members).indexOf(self);
}
