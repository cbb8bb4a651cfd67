/** How much a checkpoint may hold in memory and do at once. */
import { AppError } from "@patina/base";

export interface CheckpointLimits {
  /**
   * Plain bytes of an image per object. Larger objects mean fewer requests, smaller ones finer resumption: 8 MiB
   * stays below every store's single-PUT limit and costs 128 requests per GiB.
   */
  readonly chunkBytes: number;
  /** Chunks in flight. Memory is bounded by about three times this many chunks. */
  readonly concurrency: number;
}

export const DEFAULT_LIMITS: CheckpointLimits = { chunkBytes: 8 * 2 ** 20, concurrency: 4 };

/** No reader accepts a larger chunk, whatever a manifest says. */
export const CHUNK_BYTES_MAX = 64 * 2 ** 20;
/** What does not pack is stored as it is, so no object of a chunk is larger, with what may seal it. */
export const STORED_BYTES_MAX = CHUNK_BYTES_MAX + 1024;

export function checkLimits({ chunkBytes, concurrency }: CheckpointLimits): void {
  const isSound = Number.isInteger(chunkBytes) && chunkBytes >= 1 && chunkBytes <= CHUNK_BYTES_MAX && concurrency >= 1;
  if (!isSound || !Number.isInteger(concurrency)) {
    throw new AppError("config-invalid", `a chunk of ${chunkBytes} bytes, ${concurrency} at once, is out of bounds`, {
      hint: `Use 1 to ${CHUNK_BYTES_MAX} bytes and at least one at once.`,
    });
  }
}
