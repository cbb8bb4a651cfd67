/** A named story of what went wrong in other systems, played on ours: it must not go wrong here, whatever the seed. */
export interface Scenario {
  readonly id: string;
  readonly title: string;
  /** What went wrong; nothing when it went well. */
  readonly play: (seed: number) => string[];
}

/** One finding, unless it is so. */
export function expectThat(isSo: boolean, otherwise: string): string[] {
  return isSo ? [] : [otherwise];
}
