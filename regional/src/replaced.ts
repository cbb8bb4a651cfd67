/**
 * What a border does when the global tier says that its region was replaced: a newer generation publishes. Nothing it sends
 * will be taken until somebody starts it anew, so it asks again only now and then: the one who said so may have been wrong.
 */
import { AppError } from "@patina/base";

/** One question a while costs nobody anything, and ends the silence soon enough after a mistake was put right. */
export const ASK_AGAIN_MS = 60_000;

/** `known`: told of already, with a request that was under way beside this one. */
export type Verdict = "replaced" | "known" | "other";

export class Replaced {
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  /** Nothing is sent. */
  isHeld(nowMs: number): boolean {
    return nowMs < this.#heldUntilMs;
  }

  /** Why a request failed. From `replaced` on nothing is sent for a while. */
  onFailed(thrown: unknown, nowMs: number): Verdict {
    if (!(thrown instanceof AppError) || thrown.code !== "region-replaced") return "other";
    if (this.isHeld(nowMs)) return "known";
    this.#heldUntilMs = nowMs + ASK_AGAIN_MS;
    return "replaced";
  }
}
