/** What the maintenance thread is asked. */
export type MaintenanceRequest =
  | { readonly kind: "checkpoint-wal"; readonly truncate: boolean }
  | { readonly kind: "scrub" }
  | { readonly kind: "read-bucket"; readonly table: string; readonly bucket: number };
