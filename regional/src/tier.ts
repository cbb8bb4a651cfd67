/** What makes a cluster regional: its tables, and the view of them that the rest of the world is told. */

/** Schema files, in order, beside the compiled program. */
export const SCHEMA_FILES: readonly URL[] = ["010-machines.sql", "020-app-placement.sql"].map(
  (name) => new URL(`../schema/${name}`, import.meta.url),
);

/** `app, class` a row, for each app that is in the region. Users bring their own tables by bringing their own view. */
export const PLACEMENT_VIEW = "app_placement";

export const BORDER = {
  /** How long apps are looked at in one go; the rest follows a moment later, so that a flood never holds the thread. */
  lookMs: 2,
  /** How long a global agent may take to answer. */
  answerMs: 2000,
} as const;
