/** What the thread of a drill is given and what it answers. */
import type { ErrorCode } from "@patina/base";
import type { Proof } from "@patina/checkpoint";

export interface DrillRequest {
  /** The object store, as the agent's configuration has it: a thread opens its own. */
  readonly store: string;
  readonly keyFile: string | undefined;
  readonly cluster: string;
  readonly which: string;
  readonly nodeDir: string;
  readonly nodeId: string;
  readonly livePath: string;
}

export type DrillReply =
  | { readonly ok: true; readonly proof: Proof }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined };
