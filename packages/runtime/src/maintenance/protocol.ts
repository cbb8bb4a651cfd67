/** What the maintenance thread is asked and what it answers. */
import type { ErrorCode } from "@patina/base";

export type MaintenanceRequest =
  | { readonly kind: "checkpoint-wal"; readonly truncate: boolean }
  | { readonly kind: "scrub" }
  | { readonly kind: "read-bucket"; readonly table: string; readonly bucket: number };

export type MaintenanceReply =
  | { readonly ticket: number; readonly ok: true; readonly result: unknown }
  | {
      readonly ticket: number;
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
    };
