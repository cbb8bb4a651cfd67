/** Names that are the engine's. Users may read such tables, never write them or hide behind such a name. */
import { AppError } from "@patina/base";
import { isWord, type Token } from "./tokens.js";

export const RESERVED_PREFIX = "_patina_";

export function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return lower.startsWith(RESERVED_PREFIX) || lower.startsWith("sqlite_");
}

/** Refuses a statement that names an engine table or column anywhere, quoted or not. */
export function refuseReserved(tokens: readonly Token[]): void {
  const places = new Places();
  tokens.forEach((token, at) => {
    places.pass(token, tokens[at - 1]);
    const named = token.kind === "word" ? token.text : token.value;
    if (token.kind === "punctuation" || token.kind === "blob" || !isReserved(named)) return;
    if (token.kind === "string" && places.isValue(tokens[at - 1], tokens[at + 1])) return;
    throw new AppError("sql-not-allowed", `${named} belongs to the engine and cannot be written`, {
      hint: `Names that begin with ${RESERVED_PREFIX} or sqlite_ are reserved; write your own tables only. Pass such text as a parameter.`,
    });
  });
}

/**
 * SQLite takes a string for a name wherever a name can be: `INSERT INTO 'sqlite_master'`. It is a value where none can be: by
 * itself between the commas of a row of VALUES, and after an equals sign.
 */
class Places {
  /** Of each parenthesis that is open, whether a row of VALUES is in it. */
  readonly #open: boolean[] = [];
  /** The last to be closed was a row, and all since is the comma after it. */
  #isAfterRow = false;

  /** Goes on to a token. */
  pass(token: Token, before: Token | undefined): void {
    if (token.text === "(") {
      this.#open.push(isWord(before, "VALUES") || (this.#isAfterRow && before?.text === ","));
      this.#isAfterRow = false;
    } else if (token.text === ")") this.#isAfterRow = this.#open.pop() === true;
    else if (token.text !== ",") this.#isAfterRow = false;
  }

  /** Is a string here, between these two, a value and nothing else? */
  isValue(before: Token | undefined, after: Token | undefined): boolean {
    if (before?.text === "=") return after?.text !== ".";
    const isAlone = (before?.text === "(" || before?.text === ",") && (after?.text === "," || after?.text === ")");
    return isAlone && this.#open.at(-1) === true;
  }
}
