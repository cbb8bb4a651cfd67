/** What the thread that makes copies is asked. */
export type CopyRequest =
  | { readonly kind: "take-image"; readonly imagePath: string }
  /** `since`: by origin, the versions held, as `1-40,42`. */
  | { readonly kind: "take-delta"; readonly since: Readonly<Record<string, string>>; readonly deltaPath: string }
  | { readonly kind: "count-beyond"; readonly since: Readonly<Record<string, string>> }
  /** Asked for chunk after chunk, from the first: a file is hashed in order. */
  | { readonly kind: "read-chunk"; readonly filePath: string; readonly index: number; readonly chunkBytes: number };

/** One chunk of a file, hashed and packed. */
export interface ReadChunk {
  readonly id: string;
  /** Before it was packed; fewer than a chunk's, or none at all, at the end of the file. */
  readonly bytes: number;
  readonly codec: "brotli" | "none";
  readonly stored: Uint8Array;
  /** Of the file up to the end of this chunk. */
  readonly sha256: string;
}
