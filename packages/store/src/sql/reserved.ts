/** Names that are the engine's. Users may read such tables, never write them or hide behind such a name. */
import { AppError } from "@patina/base";
import type { Token } from "./tokens.js";

export const RESERVED_PREFIX = "_patina_";

export function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith(RESERVED_PREFIX) || lower.startsWith("sqlite_");
}

/** Refuses a statement that names an engine table or column anywhere, quoted or not. */
export function refuseReserved(tokens: readonly Token[]): void {
  for (const token of tokens) {
    const named = token.kind === "word" ? token.text : token.value;
    if (token.kind === "punctuation" || token.kind === "blob" || !isReserved(named)) continue;
    throw new AppError("sql-not-allowed", `${named} belongs to the engine and cannot be written`, {
      hint: `Names that begin with ${RESERVED_PREFIX} or sqlite_ are reserved; write your own tables only.`,
    });
  }
}
