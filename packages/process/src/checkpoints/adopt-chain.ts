/** Makes a fetched checkpoint the beginning of a generation, or a copy of the one it was taken in. */
import { type Hlc, hlcFromMs } from "@patina/base";
import type { FetchedDelta, GenerationRecord, Manifest } from "@patina/checkpoint";
import { adoptImage } from "@patina/store";

/** Without a record the copy joins the generation that the checkpoint was taken in. Throws `checkpoint-damaged`. */
export function adoptChain(
  imagePath: string,
  chain: readonly Manifest[],
  deltas: readonly FetchedDelta[],
  opened: GenerationRecord | undefined,
): void {
  const [base] = chain;
  if (base === undefined) return;
  adoptImage(imagePath, {
    cluster: base.cluster,
    digest: base.digest,
    deltas: deltas.map(({ path, manifest: { digest } }) => ({ path, digest })),
    generation: opened?.generation ?? base.generation,
    ...(opened === undefined ? {} : { floor: BigInt(opened.floor) }),
  });
}

/** Above every stamp of the checkpoint, and above all that was stamped before now by a clock that is right. */
export function floorOf({ hlc }: Manifest, nowMs: number): Hlc {
  const now = hlcFromMs(nowMs);
  return now > BigInt(hlc) ? now : BigInt(hlc);
}
