/** What examining an object store has found: one line a question, and what the store is good for all in all. */
import { messageOf } from "@patina/base";

export interface Probe {
  readonly question: string;
  /** `advice` does not stand in the way of anything; `bad` does. */
  readonly verdict: "good" | "advice" | "bad";
  readonly found: string;
}

/**
 * - `create-only`: everything that checkpoints need.
 * - `rendezvous-only`: usable by one writer at a time; two claims of one name are told apart by luck.
 * - `unusable`: it loses, alters or replaces what it was given.
 */
export type Level = "create-only" | "rendezvous-only" | "unusable";

export interface Examination {
  readonly store: string;
  readonly level: Level;
  readonly probes: readonly Probe[];
}

/** Asks one question; a store that answers with an error has answered it. */
export async function probe(
  question: string,
  ask: () => Promise<Omit<Probe, "question">>,
  otherwise: Probe["verdict"] = "bad",
): Promise<Probe> {
  try {
    return { question, ...(await ask()) };
  } catch (error) {
    return { question, verdict: otherwise, found: messageOf(error) };
  }
}

export const good = (found: string): Omit<Probe, "question"> => ({ verdict: "good", found });
export const advice = (found: string): Omit<Probe, "question"> => ({ verdict: "advice", found });
export const bad = (found: string): Omit<Probe, "question"> => ({ verdict: "bad", found });
