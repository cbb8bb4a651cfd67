/** What the reader pool and its processes say to each other. */
import type { ErrorCode, SqlValue } from "@patina/base";

export interface ReaderSettings {
  readonly path: string;
  readonly rowsMax: number;
  readonly batchRows: number;
}

export type ReaderRequest =
  | { readonly kind: "open"; readonly settings: ReaderSettings }
  | {
      readonly kind: "start";
      readonly sql: string;
      readonly params: readonly SqlValue[] | Readonly<Record<string, SqlValue>>;
    }
  | { readonly kind: "next" }
  | { readonly kind: "cancel" };

export type ReaderReply =
  | { readonly kind: "started"; readonly columns: readonly string[] }
  /** NDJSON: `{"row":[n,[…]]}` a line. */
  | { readonly kind: "rows"; readonly lines: string; readonly isLast: boolean }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined };
