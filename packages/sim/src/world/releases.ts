/** How members greet that were upgraded to a release to come, and what they say that this one does not know. */
import { PROTOCOL, type ProtocolRange } from "@patina/gossip";

/** The next release speaks as this one does, too; the one after it does not any more. */
export const AHEAD = {
  next: { oldest: PROTOCOL.newest, newest: PROTOCOL.newest + 1 },
  foreign: { oldest: PROTOCOL.newest + 1, newest: PROTOCOL.newest + 2 },
} as const satisfies Record<string, ProtocolRange>;

/** Whoever does not know its type is to ignore it. */
const OPTIONAL_FRAME = Uint8Array.of(200, 1, 2, 3);

/** A hello's versions are the bytes after its kind. */
export function greetingsAhead(hello: Uint8Array, node: number): Uint8Array[] {
  const { oldest, newest } = node % 2 === 0 ? AHEAD.next : AHEAD.foreign;
  const bytes = hello.slice();
  bytes.set([oldest, newest], 1);
  return [bytes, OPTIONAL_FRAME];
}

export function isOptionalFrame(bytes: Uint8Array): boolean {
  return bytes[0] === OPTIONAL_FRAME[0];
}
