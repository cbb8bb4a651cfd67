/** What clients write: contended rows that are overwritten and deleted, and a ledger nobody may ever lose a line of. */
import type { Rng, Write } from "@patina/base";

const MACHINES = 12;
const STATES = ["created", "started", "stopped", "destroyed"];

export function randomWrite(rng: Rng, serial: number): { write: Write; ledgerId: string } {
  const ledgerId = `entry-${serial}`;
  const statements = [
    { sql: "INSERT INTO ledger (id, body) VALUES (?, ?)", params: [ledgerId, "x".repeat(rng.below(60))] },
  ];
  for (let left = rng.below(3); left > 0; left--) statements.push(machineStatement(rng));
  return { write: { kind: "statements", statements }, ledgerId };
}

function machineStatement(rng: Rng): { sql: string; params: string[] } {
  const id = `m${rng.below(MACHINES)}`;
  const state = STATES[rng.below(STATES.length)] ?? "created";
  switch (rng.below(4)) {
    case 0:
      return { sql: "DELETE FROM machines WHERE id = ?", params: [id] };
    case 1:
      return {
        sql: "UPDATE machines SET state = ?, cpus = cpus + 1 WHERE app = ?",
        params: [state, `app${rng.below(3)}`],
      };
    case 2:
      return {
        sql: "REPLACE INTO machines (id, app, note) VALUES (?, ?, ?)",
        params: [id, `app${rng.below(3)}`, state],
      };
    default:
      return {
        sql: "INSERT INTO machines (id, app, state) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
        params: [id, `app${rng.below(3)}`, state],
      };
  }
}
