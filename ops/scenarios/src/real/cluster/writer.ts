/** Writes rows and remembers which were acknowledged: those must be there in the end, whatever happened in between. */
import { setTimeout as delay } from "node:timers/promises";
import { systemNow } from "@patina/runtime";
import type { Member } from "./member.js";

const IN_FLIGHT = 16;
/** So many share a sync to disk: as fast as a history can be made. */
const MANY_IN_FLIGHT = 128;
const INSERT = "INSERT INTO machines (id, app, worker, address, updated_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET updated_ms = excluded.updated_ms"; // prettier-ignore
const APPS = 100;

export interface Load {
  /** Where to write, looked at before each write. */
  readonly members: () => readonly Member[];
  readonly perSecond: number;
  /** What a row is padded with. */
  readonly bytes?: number;
}

export interface Steady {
  /** Milliseconds that each acknowledgement took. */
  readonly latenciesMs: readonly number[];
  readonly refused: number;
}

export class Writer {
  /** By key, when the write of its row was acknowledged; Unix ms. */
  readonly acknowledged = new Map<string, number>();
  #written = 0;

  /** So many transactions of one row at these members in turn, as fast as they take them. Throws what one refuses with. */
  async write(members: readonly Member[], count: number): Promise<void> {
    let left = count;
    const inTurn = async (): Promise<void> => {
      while (left-- > 0) await this.#writeOne(pick(members, left), this.#nextKey());
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, inTurn));
  }

  /** The same, over and over on so many rows: more versions than rows. */
  async overwrite(members: readonly Member[], count: number, rows: number): Promise<void> {
    let left = count;
    const inTurn = async (): Promise<void> => {
      while (left-- > 0) {
        const at = left;
        // A busy agent may close a connection that was just taken up again: the next try has another.
        await this.#writeOne(pick(members, at), `again-${at % rows}`).catch(() => {
          return this.#writeOne(pick(members, at), `again-${at % rows}`);
        });
      }
    };
    await Promise.all(Array.from({ length: MANY_IN_FLIGHT }, inTurn));
  }

  /** Writes at a steady rate, whatever becomes of them, while `during` lasts. */
  async keepWriting<T>(
    { members, perSecond, bytes = 0 }: Load,
    during: () => Promise<T>,
  ): Promise<Steady & { readonly result: T }> {
    const latenciesMs: number[] = [];
    const under = new Set<Promise<void>>();
    let [isOver, refused] = [false, 0];
    const one = async (member: Member): Promise<void> => {
      const { monotonicMs } = systemNow();
      try {
        await this.#writeOne(member, this.#nextKey(), bytes);
        latenciesMs.push(systemNow().monotonicMs - monotonicMs);
      } catch {
        refused++; // Not acknowledged: it may be there in the end, or not.
      }
    };
    const writing = (async () => {
      for (let n = 0; !isOver; n++) {
        const it: Promise<void> = one(pick(members(), n)).finally(() => under.delete(it));
        under.add(it);
        await delay(1000 / perSecond);
      }
      await Promise.all(under);
    })();
    try {
      return { result: await during(), latenciesMs, get refused() { return refused; } }; // prettier-ignore
    } finally {
      isOver = true;
      await writing;
    }
  }

  /** Which of the acknowledged rows a member does not have. */
  async missingAt(member: Member): Promise<string[]> {
    const { rows } = await member.client.query("SELECT id FROM machines");
    const there = new Set(rows.map(([id]) => id));
    return [...this.acknowledged.keys()].filter((key) => !there.has(key));
  }

  /** These rows are gone for a reason that was looked at: nobody is to miss them in the end. */
  excuse(keys: readonly string[]): void {
    for (const key of keys) this.acknowledged.delete(key);
  }

  async #writeOne(member: Member, key: string, bytes = 0): Promise<void> {
    this.#written++;
    const params = [key, `app-${this.#written % APPS}`, member.name, "x".repeat(bytes), this.#written];
    await member.client.transact([[INSERT, params]]);
    this.acknowledged.set(key, systemNow().wallMs);
  }

  #nextKey(): string {
    return `machine-${this.#written + 1}`; // Nobody else comes in between: the next write counts it.
  }
}

function pick(members: readonly Member[], n: number): Member {
  const member = members[n % members.length];
  if (member === undefined) throw new Error("nobody to write at");
  return member;
}
