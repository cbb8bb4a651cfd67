/** Doing many things at once, but not too many: what bounds the memory and the connections of a checkpoint. */
import { assert } from "@patina/base";

/**
 * Calls `work` for each item, at most `concurrency` at a time, taking an item from the source only when there is room
 * for it. After a failure nothing new is started, what runs is awaited, and the first failure is thrown.
 */
export async function forEachBounded<T>(
  items: AsyncIterable<T> | Iterable<T>,
  concurrency: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  assert(Number.isInteger(concurrency) && concurrency > 0, "concurrency is a positive integer");
  const source = toAsync(items);
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    while (failures.length === 0) {
      const next = await source.next();
      if (next.done === true) return;
      await work(next.value);
    }
  };
  const keep = (error: unknown): void => void failures.push(error);
  await Promise.all(Array.from({ length: concurrency }, () => lane().catch(keep)));
  await source.return(undefined);
  if (failures.length > 0) throw failures[0];
}

async function* toAsync<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T, void, void> {
  yield* items;
}
