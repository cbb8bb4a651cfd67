/** How long changes have been waiting for a checkpoint: also those that a process before this one had left. */
import { AppError } from "@patina/base";
import type { CheckpointNote } from "@patina/store";
import { expect, test } from "vitest";
import { Standing } from "./standing.js";

const START = Date.UTC(2026, 10, 24, 3);
const idAt = (atMs: number): string =>
  `g000001-${new Date(atMs).toISOString().replace(/[-:]/g, "")}-d0-0123456789abcdef`;

class Cluster {
  nowMs = START + 60_000;
  digest = "b";
  notes: CheckpointNote[] = [];
  readonly unread: unknown[] = [];
  readonly standing: Standing;

  /** `stored`: the digest in the newest checkpoint, as the store has it. */
  constructor(stored: string | AppError) {
    this.take(START);
    this.standing = new Standing({
      store: { checkpoints: { list: () => this.notes }, digest: () => this.digest },
      clock: { estimateMs: () => this.nowMs },
      digestIn: async () => {
        if (stored instanceof AppError) throw stored;
        return stored;
      },
      onUnread: (error) => this.unread.push(error),
    });
  }

  take(atMs: number): void {
    this.notes = [{ level: "d0", manifest: idAt(atMs), atMs }];
  }

  /** Once what the first look has asked for is there. */
  async behind(): Promise<number> {
    this.standing.look();
    await new Promise((resolve) => setImmediate(resolve));
    return this.standing.look().behindSeconds;
  }
}

test("what was left uncovered before the start has been waiting since the newest checkpoint", async () => {
  const cluster = new Cluster("a");
  expect(await cluster.behind()).toBe(60);
  cluster.take(cluster.nowMs);
  expect(await cluster.behind()).toBe(0);
});

test("a node that has caught up with what the checkpoint has is not behind", async () => {
  const cluster = new Cluster("a");
  await cluster.behind();
  cluster.digest = "a";
  expect(await cluster.behind()).toBe(0);
  cluster.digest = "c";
  await cluster.behind();
  cluster.nowMs += 7000;
  expect(await cluster.behind()).toBe(7);
});

test("nothing is said of what cannot be read, and the failure is told of once", async () => {
  const cluster = new Cluster(new AppError("object-store-unreachable", "away"));
  expect([await cluster.behind(), await cluster.behind(), cluster.unread.length]).toEqual([0, 0, 1]);
});

test("one that a wrong clock dated ahead is no newest", async () => {
  const cluster = new Cluster("b");
  cluster.notes.push({ level: "base", manifest: idAt(START + 9e9), atMs: START + 9e9 });
  await cluster.behind();
  expect(cluster.standing.look().ageSeconds).toBe(60);
});
