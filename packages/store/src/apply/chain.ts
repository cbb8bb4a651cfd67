/**
 * The hash chain of an origin's versions: each link is taken over the change's bytes and the link before. Whoever holds a
 * version with its link can tell that the next one follows it. It does not when a database was put back to an old copy, or
 * copied, and two histories go by one name.
 */
import { ByteWriter, type Change } from "@patina/base";
import { hashOf } from "../rows/row-codec.js";

export interface Link {
  readonly version: number;
  readonly chain: bigint;
}

/** Before an origin's first version. */
export const FIRST_LINK: Link = { version: 0, chain: 0n };

const writer = new ByteWriter(4096);

/** The link of the change that follows `before`. Never 0, which stands for none. */
export function nextLink(before: Link, { version, hlc, body }: Pick<Change, "version" | "hlc" | "body">): Link {
  const chain = hashOf(writer.reset().u64(before.chain).varint(version).u64(hlc).raw(body).view());
  return { version, chain: chain === 0n ? 1n : chain };
}
