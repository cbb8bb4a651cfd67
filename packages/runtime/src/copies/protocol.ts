/** What the thread that makes copies is asked and what it answers. */
import type { ErrorCode } from "@patina/base";

export type CopyRequest =
  | { readonly kind: "take-image"; readonly imagePath: string }
  /** `since`: by origin, the versions held, as `1-40,42`. */
  | { readonly kind: "take-delta"; readonly since: Readonly<Record<string, string>>; readonly deltaPath: string }
  | { readonly kind: "count-beyond"; readonly since: Readonly<Record<string, string>> }
  | { readonly kind: "pack"; readonly plain: Uint8Array };

export type CopyReply =
  | { readonly ticket: number; readonly ok: true; readonly result: unknown }
  | {
      readonly ticket: number;
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
    };
