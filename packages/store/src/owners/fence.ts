/**
 * Two states of one row meet. Who has the row is settled by their stamps; this says whether the one that lost was written
 * by somebody who ought to know: it is beyond the cut, so nobody who took the row had seen it.
 */
import { compareStamps, type Cut, type NodeId, originNode, type Stamp } from "@patina/base";

export interface Contender {
  readonly stamp: Stamp;
  /** Whose row the state says it is, or was when it was deleted; undefined: nobody's. */
  readonly owner: string | undefined;
  readonly cut: Cut | undefined;
  readonly isDeleted: boolean;
}

/** The member that looks: its node, in whatever database, and the worker it writes for. */
export interface Self {
  readonly node: NodeId;
  readonly worker: string;
}

/** An owner is a matter of the epoch: two live states of one epoch that name two are two claims. */
export function isDoubtful(a: Contender, b: Contender): boolean {
  return a.stamp.epoch === b.stamp.epoch && a.owner !== b.owner && !a.isDeleted && !b.isDeleted;
}

/**
 * Was the loser written in vain, unseen by the winner's owner? Of others' writes this says yes only when the cut proves
 * it. Of this member's own it rather says yes too often: what the cuts of epochs in between said is not known here.
 */
export function isFenced(winner: Contender, loser: Contender, self: Self): boolean {
  const isOurs = originNode(loser.stamp.origin) === self.node;
  const { cut, stamp } = winner;
  if (stamp.epoch === loser.stamp.epoch) return isOurs && (winner.owner !== loser.owner || isRival(winner, self));
  if (cut === undefined) return false; // Nobody took it over: another order than the owners' rules this row.
  if (loser.stamp.epoch < stamp.epoch - 1) return isOurs && (loser.owner ?? self.worker) === self.worker;
  if (compareStamps(loser.stamp, { ...cut, epoch: stamp.epoch - 1 }) > 0) return true;
  // Another member's state of the epoch in which this one held the row: it lost to a second owner of that epoch.
  return isOurs && loser.owner === self.worker && originNode(cut.origin) !== self.node;
}

/** In an epoch in which this member writes the row, nobody else does, unless two began it or two go by one worker's name. */
function isRival({ stamp, owner }: Contender, { node, worker }: Self): boolean {
  return owner === worker && originNode(stamp.origin) !== node;
}
