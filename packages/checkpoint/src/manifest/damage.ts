/** What is said of an object that is not what it should be: its key, what was expected and what was found. */
import { AppError, type ErrorCode } from "@patina/base";

export interface Finding {
  /** The object's key. */
  readonly object: string;
  readonly problem: "missing" | "damaged";
  readonly expected: string;
  readonly got: string;
}

export function missing(object: string, expected: string): Finding {
  return { object, problem: "missing", expected, got: "nothing" };
}

export function damaged(object: string, expected: string, got: string): Finding {
  return { object, problem: "damaged", expected, got };
}

/** The finding that an error carries; anything that is no damage is thrown on. */
export function findingOf(error: unknown, object: string): Finding {
  if (!(error instanceof AppError)) throw error;
  if (!DAMAGE.has(error.code)) throw error;
  const { object: named = object, problem, expected = "it whole", got = error.message } = error.details;
  if (problem === "missing") return missing(String(named), String(expected));
  return damaged(String(named), String(expected), String(got));
}

/** What we, the store itself, or what seals it says of one object. */
const DAMAGE = new Set<ErrorCode>(["checkpoint-damaged", "object-store-corrupt", "checkpoint-forged"]);

/** The error that carries a finding. Damage is never repaired silently: the reader must choose what to restore. */
export function damageError({ object, problem, expected, got }: Finding): AppError {
  return new AppError("checkpoint-damaged", `${object} is ${problem}: expected ${expected}, got ${got}`, {
    hint: "Restore another checkpoint; `patina checkpoint verify` says which ones are whole.",
    details: { object, problem, expected, got },
  });
}
