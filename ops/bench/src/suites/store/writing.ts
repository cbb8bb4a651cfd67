/** Writing as an agent does: after every transaction the thread is free for a moment, and housekeeping has its turn. */
import { setImmediate } from "node:timers/promises";
import type { WalCutter } from "../../databases.js";

/** The database that is written, its log, and the agent's housekeeping when it is a store. */
interface Side {
  readonly wal: WalCutter;
  readonly agent?: { maintain(): void };
}

/** Rows per second of writing all items, `rows` rows together. It begins with an empty log and leaves one. */
export async function writingRate<Item>(
  { wal, agent }: Side,
  rows: number,
  items: readonly Item[],
  write: (item: Item) => unknown,
): Promise<number> {
  wal.cut();
  const startMs = performance.now();
  for (const item of items) {
    write(item);
    agent?.maintain();
    await setImmediate();
  }
  const seconds = (performance.now() - startMs) / 1000;
  wal.cut();
  return rows / seconds;
}
