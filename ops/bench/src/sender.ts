/** What is said to the thread that runs the agent that sends, and what it says. */

export interface SenderOrder {
  readonly path: string;
  readonly rows: number;
  /** The agent to send to. */
  readonly peer: string;
  /** `flood`: it writes once the peer is there, as fast as it can. `catch-up`: all is written before they meet. */
  readonly mode: "flood" | "catch-up";
}

/** It sends this when all is written and its agent runs. */
export interface SenderReady {
  readonly origin: string;
  readonly versions: number;
}
