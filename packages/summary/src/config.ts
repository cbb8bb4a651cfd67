/** The times and limits of the summary. All are equal on every border of a region, or borders would disagree. */
import { assert } from "@patina/base";

export interface SummaryConfig {
  /** From an app's disappearance to its withdrawal. 5 s: a restart or a deploy is not a disappearance. */
  readonly holdDownMs: number;
  /** A chronic flapper's hold-down grows up to this. It stays advertised meanwhile. */
  readonly holdDownMaxMs: number;
  /** Departures that cost nothing; each further one doubles the hold-down. High, so that deploys never reach it. */
  readonly flapsFree: number;
  /** In this time half of an app's flaps are forgiven. */
  readonly flapHalfLifeMs: number;
  /** Apps whose flaps are remembered. When full the one that flapped longest ago is forgotten. */
  readonly flappersMax: number;
  /** A region may withdraw at most this fraction of its rows within `brakeWindowMs` without confirmation. */
  readonly withdrawFractionMax: number;
  /** Fewer withdrawals than this in a window never engage the brake, however few rows there are. */
  readonly withdrawFloor: number;
  readonly brakeWindowMs: number;
  /** Rows of the region. Further apps are refused with an effect, and what is advertised stays. */
  readonly appsMax: number;
}

export const defaultSummaryConfig: SummaryConfig = {
  holdDownMs: 5_000,
  holdDownMaxMs: 120_000,
  flapsFree: 5,
  flapHalfLifeMs: 60_000,
  flappersMax: 10_000,
  withdrawFractionMax: 0.2,
  withdrawFloor: 10,
  brakeWindowMs: 60_000,
  appsMax: 1_000_000,
};

/** Tiny limits, so that what is rare in production is common in a test. */
export const testSummaryConfig: SummaryConfig = {
  holdDownMs: 100,
  holdDownMaxMs: 1_000,
  flapsFree: 2,
  flapHalfLifeMs: 1_000,
  flappersMax: 4,
  withdrawFractionMax: 0.5,
  withdrawFloor: 3,
  brakeWindowMs: 1_000,
  appsMax: 32,
};

export function checkSummaryConfig(config: SummaryConfig): void {
  assert(config.holdDownMs <= config.holdDownMaxMs, "damping lengthens the hold-down");
  assert(config.withdrawFractionMax >= 0 && config.withdrawFractionMax <= 1, "withdrawFractionMax is a fraction");
  assert(config.withdrawFloor >= 1 && config.appsMax >= 1 && config.flappersMax >= 1, "limits are positive");
}
