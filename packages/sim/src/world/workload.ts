/**
 * What clients write: contended rows that are overwritten and deleted, a ledger nobody may ever lose a line of, and leases
 * that workers hold, hand over and claim.
 */
import type { Rng, Statement, Write } from "@patina/base";
import { workerOf } from "../machine/machine.js";

const MACHINES = 12;
const LEASES = 5;
const STATES = ["created", "started", "stopped", "destroyed"];

/** One client's transaction. With a `ledgerId`, it must never be lost once it was acknowledged. */
export interface ClientWrite {
  readonly write: Write;
  readonly ledgerId: string | undefined;
  /** Error codes that are an answer and not a fault. */
  readonly mayBeRefused: readonly string[];
}

export function randomWrite(
  rng: Rng,
  serial: number,
  at: { readonly node: number; readonly nodes: number },
): ClientWrite {
  switch (rng.below(6)) {
    case 0:
      return leaseWrite(rng, at.node);
    case 1:
      return handoff(rng, at.nodes);
    default:
      return ledgerWrite(rng, serial);
  }
}

function ledgerWrite(rng: Rng, serial: number): ClientWrite {
  const ledgerId = `entry-${serial}`;
  const statements: Statement[] = [
    { sql: "INSERT INTO ledger (id, body) VALUES (?, ?)", params: [ledgerId, "x".repeat(rng.below(60))] },
  ];
  for (let left = rng.below(3); left > 0; left--) statements.push(machineStatement(rng));
  return { write: { kind: "statements", statements }, ledgerId, mayBeRefused: [] };
}

/** A worker takes or renews a lease: refused when it is another's. */
function leaseWrite(rng: Rng, node: number): ClientWrite {
  const params = [`l${rng.below(LEASES)}`, workerOf(node)];
  const sql = `INSERT INTO leases (id, worker, term) VALUES (?, ?, 1)
    ON CONFLICT DO UPDATE SET worker = excluded.worker, term = term + 1`;
  return {
    write: { kind: "statements", statements: [{ sql, params }] },
    ledgerId: undefined,
    mayBeRefused: ["not-owner"],
  };
}

/** Its owner hands it over, or somebody claims it: the owner may be gone, or may not. */
function handoff(rng: Rng, nodes: number): ClientWrite {
  const to = rng.chance(0.5) ? workerOf(rng.below(nodes)) : undefined;
  const handoffs = [{ table: "leases", key: [`l${rng.below(LEASES)}`], to }];
  return { write: { kind: "handoffs", handoffs }, ledgerId: undefined, mayBeRefused: ["not-owner", "row-absent"] };
}

function machineStatement(rng: Rng): Statement {
  const id = `m${rng.below(MACHINES)}`;
  const app = `app${rng.below(3)}`;
  const state = STATES[rng.below(STATES.length)] ?? "created";
  switch (rng.below(4)) {
    case 0:
      return { sql: "DELETE FROM machines WHERE id = ?", params: [id] };
    case 1:
      return { sql: "UPDATE machines SET state = ?, cpus = cpus + 1 WHERE app = ?", params: [state, app] };
    case 2:
      return { sql: "REPLACE INTO machines (id, app, note) VALUES (?, ?, ?)", params: [id, app, state] };
    default:
      return {
        sql: "INSERT INTO machines (id, app, state) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state",
        params: [id, app, state],
      };
  }
}
