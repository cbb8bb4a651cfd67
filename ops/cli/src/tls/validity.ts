/** How long certificates are good for. */
import type { Validity } from "@patina/security";

export const AUTHORITY_DAYS = 3650;
export const MEMBER_DAYS = 365;
export const DAY_MS = 86_400_000;
/** A member whose clock is behind by less accepts a certificate made just now. */
const BACKDATED_MS = 300_000;

/** From now on for so many days. A certificate that has expired is asked for by a negative number. */
export function validFor(days: number, nowMs: number): Validity {
  const untilMs = nowMs + days * DAY_MS;
  return { fromMs: Math.min(nowMs, untilMs) - BACKDATED_MS, untilMs };
}
