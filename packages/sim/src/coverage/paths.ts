/**
 * The rare paths that a simulation must go down now and then: one that never does proves nothing about them. To watch one
 * more, add its name here and a line to `coverage.ts` that sees it.
 */
export const PATHS = [
  "a suspect refuted",
  "a member was found dead",
  "a dead member came back",
  "a member left",
  "a probe was answered through a helper",
  "a helper heard nothing and said so",
  "a frame stood in for an answer",
  "a late timer voided what was under way",
  "a node took itself for the sick one",
  "rosters were exchanged",
  "a stranger was refused",
  "a member of the next release was understood",
  "a stream was closed for want of a greeting",
  "a member was dialed again",
  "a peer lagged behind",
  "a peer was asked for what was missing",
  "a gap was filled from a peer's rows",
  "a repair came in parts",
  "a change came by way of a relay",
  "a member took a peer's rows",
  "versions with nothing left to say were skipped",
  "a change waited for its predecessor",
  "a change waited for the clock",
  "a clock far ahead raised the alarm",
  "a change was put into quarantine",
  "a version was known to be everywhere",
  "a deletion was forgotten",
  "power loss took what was not synced",
  "a full disk stopped a node",
  "a member was given up",
  "an old disk was found out",
  "a node started over with an empty database",
  "rows waited for what a lost node alone held",
  "what a lost node left owing was made up for",
  "two histories under one name were found",
  "a write was refused to a worker that is no owner",
  "a late write was fenced off",
  "a row had two owners for a while",
  "a schema was adopted",
] as const;

/** Too rare for every few hundred seeds: `few-seeds.test.ts` goes down them by seeds and plans of its own. */
export const RARER_PATHS = [
  "more of a lost node's versions counted as held once it was made up for",
  "a start was numbered below one that was gone",
] as const;

export type PathName = (typeof PATHS | typeof RARER_PATHS)[number];
