/** What a run of the tiers found wrong, by the letter of its rule, and which rare paths it went down. */

/** To watch one more, add its name here and say so where it happens. */
export const TIER_PATHS = [
  "a border took over",
  "two borders published at once",
  "an audit found a row missing",
  "an audit found a ghost",
  "the brake held withdrawals",
  "an operator confirmed withdrawals",
  "a border was told of a doubt",
  "a flap was waited out",
  "a row was put into quarantine",
  "the last good state of a row stayed in service",
  "the door refused: region-foreign",
  "the door refused: too-many",
  "a region that may lack rows of the map was asked",
  "an app was found in a region itself",
  "an app was found in the index alone",
  "an app was found in a kept answer",
  "an app was absent",
  "nobody could say where an app is",
  "a route was denied by its region",
  "a router alone found an app",
  "an app was found while all whom borders publish to were down",
  "the tier came back with nothing and was filled by its regions",
  "an app was handed over to another region",
  "a change came late to a border",
] as const;

export type TierPath = (typeof TIER_PATHS)[number];

/** Only the first few are kept: the rest follows from them. */
const FINDINGS_MAX = 20;

export class TierFindings {
  readonly problems: string[] = [];
  readonly paths = new Set<TierPath>();

  broken(rule: string, what: string): void {
    if (this.problems.length < FINDINGS_MAX) this.problems.push(`${rule}: ${what}`);
  }

  passed(path: string): void {
    if (TIER_PATHS.includes(path as TierPath)) this.paths.add(path as TierPath);
  }
}
