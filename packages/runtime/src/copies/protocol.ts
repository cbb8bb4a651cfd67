/** What the thread that makes copies is asked. */
export type CopyRequest =
  | { readonly kind: "take-image"; readonly imagePath: string }
  /** `since`: by origin, the versions held, as `1-40,42`. */
  | { readonly kind: "take-delta"; readonly since: Readonly<Record<string, string>>; readonly deltaPath: string }
  | { readonly kind: "count-beyond"; readonly since: Readonly<Record<string, string>> }
  | { readonly kind: "pack"; readonly plain: Uint8Array };
