/** Large buffers a slice at a time, so that hashing or sealing one never holds the event loop for longer than a slice. */
import { setImmediate } from "node:timers/promises";

/** A millisecond or two of MD5 or AES. */
const SLICE_BYTES = 2 ** 20;

export async function* slicesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (at > 0) await setImmediate();
    yield bytes.subarray(at, at + SLICE_BYTES);
  }
}
