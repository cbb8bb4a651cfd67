/**
 * What an operator has switched off at this router: rows that are not taken into the map any more, and things it does. What
 * the map has of such rows stays as it is. It needs nobody else: not gossip, not the regions, not a restart.
 */
export const FEATURES = ["hedge", "kept", "probe", "query", "watch", "dns"] as const;
export type Feature = (typeof FEATURES)[number];

export interface Switches {
  /** Tables of the global tier whose rows are not taken. */
  readonly tables: readonly string[];
  /** Writers whose rows are not taken: a region by its name, or a global agent's origin. */
  readonly origins: readonly string[];
  readonly features: readonly Feature[];
}

export const NOTHING_OFF: Switches = { tables: [], origins: [], features: [] };

/** Names in one list: a switch is for an emergency. */
export const SWITCHES_MAX = 100;

/** Why a row is not taken; undefined when it is. */
export function switchedOff(
  { tables, origins }: Switches,
  row: { readonly table: string; readonly region: string; readonly origin: string },
): string | undefined {
  if (tables.includes(row.table)) return `table ${row.table} is switched off`;
  if (origins.includes(row.region)) return `region ${row.region} is switched off`;
  if (origins.includes(row.origin)) return `origin ${row.origin} is switched off`;
  return undefined;
}
