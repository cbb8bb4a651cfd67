/** Invariants. They stay on in production: a broken one means a bug here, and a crash is safer than going on. */

/** Throws when `condition` is false. `what` says what was broken, as a noun phrase a log reader understands. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

/** The value, which must be there. Use it where an absent value would be a bug, never for input from outside. */
export function must<T>(value: T | undefined | null, what: string): T {
  assert(value !== undefined && value !== null, what);
  return value;
}

/** Closes a union: the compiler refuses a call while a member is unhandled. */
export function unreachable(value: never): never {
  throw new Error(`invariant broken: unexpected ${JSON.stringify(value)}`);
}
