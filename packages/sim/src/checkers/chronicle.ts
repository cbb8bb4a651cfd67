/**
 * What happened, as nobody in the cluster knows it: every commit of every node and what it made of which rows, and which
 * writes a client was told are durable. It is kept apart from the cluster's own code, and that is judged by it.
 */
import { type Change, compareStamps, type Holdings, holds, type OriginId, type Stamp } from "@patina/base";
import type { WrittenRow } from "../machine/witness.js";

/** A write that its client was told is durable. */
export interface Acknowledged {
  readonly node: number;
  readonly ledgerId: string;
  readonly origin: OriginId;
  readonly version: number;
}

export interface RowState extends WrittenRow {
  readonly stamp: Stamp;
}

export class Chronicle {
  readonly acknowledged: Acknowledged[] = [];
  /** Acknowledged writes whose only copies were on disks that were lost. */
  readonly excused = new Set<string>();
  /** Acknowledged writes that most members held when one of them was given up. */
  readonly heldByMost = new Set<string>();
  /** Doubts whose record was on a disk that was lost, as `key@epoch`. Others met the loser no more: its winner had gone before. */
  readonly lostDoubts = new Set<string>();
  /** Origins that issued a version twice, or on two machines: a disk was put back or copied. What they say is not one history. */
  readonly forked = new Set<OriginId>();
  /** What a lost node left owing was made up for: its versions count as held, and say less than they once did. */
  hasLostRows = false;
  /** Rules that did not hold, each with its letter. */
  readonly findings: string[] = [];
  readonly #lastStamp = new Map<OriginId, { node: number; version: number; hlc: bigint }>();
  readonly #rows = new Map<string, RowState[]>();

  /** A rule did not hold. Only the first few are kept: the rest follows from them. */
  broken(rule: string, what: string): void {
    if (this.findings.length < 20) this.findings.push(`${rule}: ${what}`);
  }

  /** H1: an origin's stamps only grow, whatever its clock does. */
  committed(node: number, { origin, version, hlc }: Change, rows: readonly WrittenRow[]): void {
    const last = this.#lastStamp.get(origin);
    if (last !== undefined && (version <= last.version || last.node !== node)) this.forked.add(origin);
    else if (last !== undefined && hlc <= last.hlc)
      this.broken("H1", `${origin} stamped ${version} no later than the one before`);
    if (last === undefined || version > last.version) this.#lastStamp.set(origin, { node, version, hlc });
    for (const row of rows) this.#note({ ...row, stamp: { epoch: row.epoch, hlc, origin, version } });
  }

  /** The rows that a member must show when it holds just this: of each the greatest state, found by itself. */
  expectedRows(table: string, holdings: Holdings): Map<string, string> {
    const expected = new Map<string, string>();
    for (const states of this.#rows.values()) {
      if (states[0]?.table !== table) continue;
      const held = states.filter(({ stamp }) => holds(holdings.get(stamp.origin), stamp.version));
      const greatest = held.reduce<RowState | undefined>(
        (a, b) => (a && compareStamps(a.stamp, b.stamp) > 0 ? a : b),
        undefined,
      );
      if (greatest?.text !== undefined) expected.set(greatest.key, greatest.text);
    }
    return expected;
  }

  /** Every state a row of this table was ever given. */
  states(table: string): readonly (readonly RowState[])[] {
    return [...this.#rows.values()].filter(([first]) => first?.table === table);
  }

  #note(state: RowState): void {
    const id = `${state.table}/${state.key}`;
    const states = this.#rows.get(id);
    if (states === undefined) this.#rows.set(id, [state]);
    else states.push(state);
  }
}
