/** What a suite is given and what it gives back. */
import type { Rng } from "@patina/base";
import type { Figure } from "../report.js";

export interface SuiteOptions {
  /** Smaller and fewer: to see that it runs and roughly where it stands, not to quote from. */
  readonly isQuick: boolean;
  /** An empty directory on the disk to be measured. The caller removes it. */
  readonly dir: string;
  readonly rng: Rng;
}

export type Suite = (options: SuiteOptions) => Promise<Figure[]>;
