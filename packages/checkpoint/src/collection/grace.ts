/**
 * The times that make collection safe without a lock. All are reckoned by the store's own clock, from when a trash list was
 * written:
 *
 *     0 h              24 h                          96 h                  144 h
 *     marked           may be swept by anybody       no sweep begins       the list itself is deleted
 *
 * - A taker that began before the mark publishes within 12 h or not at all, so the sweep sees its manifest.
 * - A taker that began after it reads the list, and counts on nothing in it (`upload.ts`).
 * - A sweep gives up after 12 h, so none is at work any more when takers lose sight of the list.
 */
const HOUR_MS = 3_600_000;

/** What nobody refers to is left alone for so long, and so is what was marked. */
export const GRACE_MS = 24 * HOUR_MS;
/** From its first look into the store to its manifest. */
export const UPLOAD_MS_MAX = GRACE_MS / 2;
export const SWEEP_UNTIL_MS = 96 * HOUR_MS;
export const SWEEP_MS_MAX = 12 * HOUR_MS;
export const TRASH_FOR_MS = 144 * HOUR_MS;
/** Longer than the longest period that members claim. */
export const CLAIMS_FOR_MS = 48 * HOUR_MS;
/** A restore renews its pin three times as often. */
export const PIN_FOR_MS = HOUR_MS;
/** What one run marks at most; the next goes on. A list of so many is some 10 MB. */
export const MARKED_MAX = 100_000;
