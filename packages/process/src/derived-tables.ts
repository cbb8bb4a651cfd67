/** Keeps clients from writing tables that are derived from something else: what they wrote would be true for nobody. */
import { AppError, type Write } from "@patina/base";
import { nameOf, tokenize } from "@patina/store";

/** Throws `sql-not-allowed`. SQL that as much as names such a table is refused: it could write what it read there, too. */
export function refuseDerived(write: Write, derivedTables: readonly string[]): void {
  const derived = new Set(derivedTables);
  if (derived.size === 0) return;
  const named = namesIn(write).find((name) => derived.has(name.toLowerCase()));
  if (named === undefined) return;
  throw new AppError("sql-not-allowed", `${named} is derived from the regions' own tables and not to be written`, {
    hint: "Change the machines in their region; its border tells the global tier.",
  });
}

function namesIn(write: Write): readonly string[] {
  switch (write.kind) {
    case "statements":
      return write.statements.flatMap(({ sql }) => tokenize(sql).flatMap((token) => nameOf(token) ?? []));
    case "rows":
      return write.rows.map(({ table }) => table);
    case "handoffs":
      return write.handoffs.map(({ table }) => table);
  }
}
