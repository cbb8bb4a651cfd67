/** The two clocks, read once by the driver and handed to every pure step. */
export interface Now {
  /** Never steps and never goes back; meaningless across processes. Timers use it. */
  readonly monotonicMs: number;
  /** Unix time in milliseconds. May step either way; only the hybrid logical clock and displays use it. */
  readonly wallMs: number;
}
