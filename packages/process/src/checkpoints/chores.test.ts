/** Who drills and who prunes: one member a period, for a drill not the one that took it, and never silently nobody. */
import { AppError } from "@patina/base";
import { MemoryObjectStore, type ObjectStore, type Proof, type PruneReport } from "@patina/checkpoint";
import type { CheckpointNote } from "@patina/store";
import { describe, expect, test } from "vitest";
import { baseToDrill, Chores } from "./chores.js";
import { StoreClock } from "./store-clock.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 10, 24, 3);
const BASE = "g000001-20261124T030000.000Z-base-0123456789abcdef";
const OLDER = "g000001-20261123T030000.000Z-base-0123456789abcdef";
const MEMBERS = ["a", "b", "c", "d"];

/** A cluster whose members all know `notes`, and of which `taker` took the base. */
class Cluster {
  nowMs = START;
  notes: readonly CheckpointNote[] = [{ level: "base", manifest: BASE, atMs: START }];
  readonly objects = new MemoryObjectStore("chores", () => this.nowMs);
  readonly clock = new StoreClock(this.objects, () => this.nowMs);
  readonly drills: string[] = [];
  readonly pruned: PruneReport[] = [];
  readonly failed: string[] = [];
  readonly bases: string[] = [];
  /** What every request of theirs is refused with. */
  outage: AppError | undefined;
  damage: AppError | undefined;
  readonly members: readonly Chores[];

  constructor(taker: string | undefined, members: readonly string[] = MEMBERS, canDrill = true) {
    this.members = members.map(
      (self) =>
        new Chores({
          objects: this.#refusing(),
          cluster: { name: "iad", generation: 1 },
          self,
          others: () => members.filter((it) => it !== self),
          notes: () => this.notes,
          retention: "standard",
          takerOf: async () => {
            if (taker === undefined) throw new Error("the base cannot be read");
            return taker;
          },
          drill: async () => {
            this.drills.push(self);
            if (!canDrill) throw new Error("damaged");
            if (this.damage !== undefined) throw this.damage;
            return {} as Proof; // What it says is for the CLI; here it only matters that it came.
          },
          takeBase: async () => this.bases.push(self),
          onPruned: (report) => this.pruned.push(report),
          onFailed: (work) => this.failed.push(work),
        }),
    );
  }

  /** The same store, for as long as there is no outage. */
  #refusing(): ObjectStore {
    return new Proxy<ObjectStore>(this.objects, {
      get: (objects, name: keyof ObjectStore) => {
        if (this.outage !== undefined) throw this.outage;
        const found = objects[name];
        return typeof found === "function" ? found.bind(objects) : found;
      },
    });
  }

  async ring(): Promise<void> {
    for (const member of this.members) await member.doWhatIsDue(this.clock);
  }
}

describe("a drill", () => {
  test("is one member's a period, and not the taker's", async () => {
    for (const taker of MEMBERS) {
      const cluster = new Cluster(taker);
      for (let ring = 0; ring < 5; ring++) await cluster.ring();
      expect(cluster.drills).toHaveLength(1);
      expect(cluster.drills).not.toContain(taker);
    }
  });

  test("is the only member's own where there is no other", async () => {
    const cluster = new Cluster("a", ["a"]);
    await cluster.ring();
    expect(cluster.drills).toEqual(["a"]);
  });

  test("that failed is told of, and tried again in the next period", async () => {
    const cluster = new Cluster("a", MEMBERS, false);
    await cluster.ring();
    await cluster.ring();
    expect(cluster.failed.toSorted()).toEqual(["drill", "prune"]); // The store has lost the base that the members know of.
    cluster.nowMs += HOUR;
    await cluster.ring();
    expect(cluster.failed.toSorted()).toEqual(["drill", "drill", "prune"]);
  });

  test("that finds damage is followed by another base, and any other failure is not", async () => {
    const cluster = new Cluster("a");
    cluster.damage = new AppError("object-store-timeout", "no answer");
    await cluster.ring();
    expect(cluster.bases).toEqual([]);
    cluster.damage = new AppError("checkpoint-damaged", "a chunk is damaged");
    cluster.nowMs += HOUR;
    await cluster.ring();
    expect(cluster.bases).toEqual(cluster.drills.slice(1));
    expect(cluster.failed.filter((work) => work === "drill")).toHaveLength(2);
  });

  test("that finds damage again and again is not followed by a base each time", async () => {
    const cluster = new Cluster("a");
    cluster.damage = new AppError("checkpoint-damaged", "a chunk is damaged");
    for (let hour = 0; hour < 24; hour++) {
      await cluster.ring();
      cluster.nowMs += HOUR;
    }
    expect(cluster.drills).toHaveLength(24);
    expect(cluster.bases).toHaveLength(5); // Of the first six hours three were over.
  });

  test("of a base that cannot be read is told of once a period by each, and not with every ring", async () => {
    const cluster = new Cluster(undefined, ["a"]);
    for (let ring = 0; ring < 5; ring++) await cluster.ring();
    expect(cluster.failed.filter((work) => work === "drill")).toHaveLength(1);
    cluster.nowMs += HOUR;
    await cluster.ring();
    expect(cluster.failed.filter((work) => work === "drill")).toHaveLength(2);
  });

  test("is due for a new base at once, and for the same one every day", () => {
    const base: CheckpointNote = { level: "base", manifest: BASE, atMs: START };
    const verified = (manifest: string, atMs: number): CheckpointNote[] => [
      base,
      { level: "verified", manifest, atMs },
    ];
    expect(baseToDrill([], START)).toBeUndefined();
    expect(baseToDrill([base], START)).toBe(BASE);
    expect(baseToDrill(verified(OLDER, START), START + 1)).toBe(BASE);
    expect(baseToDrill(verified(BASE, START), START + HOUR)).toBeUndefined();
    expect(baseToDrill(verified(BASE, START), START + DAY)).toBe(BASE);
  });
});

test("pruning is one member's a day", async () => {
  const cluster = new Cluster("a");
  cluster.notes = [];
  for (let ring = 0; ring < 3; ring++) await cluster.ring();
  expect(cluster.pruned).toHaveLength(1);
  cluster.nowMs += DAY;
  await cluster.ring();
  expect(cluster.pruned).toHaveLength(2);
  expect(cluster.failed).toEqual([]);
});

test("a store that does not answer a claim is asked again within the day, and not with every ring", async () => {
  const cluster = new Cluster("a", ["a"]);
  cluster.notes = [];
  cluster.outage = new AppError("object-store-unreachable", "away");
  for (let ring = 0; ring < 5; ring++) await cluster.ring();
  expect(cluster.failed).toEqual(["prune"]);
  cluster.outage = undefined;
  await cluster.ring();
  expect(cluster.pruned).toEqual([]);
  cluster.nowMs += HOUR;
  await cluster.ring();
  expect([cluster.pruned.length, cluster.failed]).toEqual([1, ["prune"]]);
});
