/** A border's summary, observation by observation, in virtual time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultSummaryConfig, type SummaryConfig, testSummaryConfig } from "./config.js";
import {
  type IndexRow,
  type PlacementClass,
  Summary,
  type SummaryEffect,
  type SummaryInput,
  type SummaryTimer,
} from "./summary.js";

/** A summary with its timers, and the index that its effects lead to. */
class Border {
  nowMs = 0;
  readonly summary: Summary;
  readonly index = new Map<string, PlacementClass>();
  readonly log: SummaryEffect[] = [];
  #timers: SummaryTimer[] = [];
  #highWater = 0n;

  constructor(config: SummaryConfig = defaultSummaryConfig, publishing = true) {
    this.summary = new Summary(config);
    this.handle({ kind: "role", publishing });
  }

  handle(input: SummaryInput): SummaryEffect[] {
    const effects = this.summary.handle(input, { monotonicMs: this.nowMs, wallMs: 0 });
    for (const effect of effects) {
      if (effect.kind === "wake") this.#timers.push(effect.timer);
      if (effect.kind === "publish") this.index.set(effect.app, effect.class);
      if (effect.kind === "withdraw") this.index.delete(effect.app);
    }
    this.log.push(...effects);
    return effects;
  }

  see(app: string, placement: PlacementClass | undefined, deliberate = false): SummaryEffect[] {
    return this.handle({ kind: "observed", app, class: placement, highWater: ++this.#highWater, deliberate });
  }

  seeMany(count: number, placement: PlacementClass | undefined): void {
    for (let i = 0; i < count; i++) this.see(`app-${i}`, placement);
  }

  audit(): SummaryEffect[] {
    return this.handle({ kind: "index", rows: [...this.index].map(([app, placement]) => ({ app, class: placement })) });
  }

  pass(forMs: number): SummaryEffect[] {
    const endMs = this.nowMs + forMs;
    const effects: SummaryEffect[] = [];
    for (;;) {
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const timer = this.#timers[0];
      if (timer === undefined || timer.atMs > endMs) break;
      this.#timers.shift();
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      effects.push(...this.handle({ kind: "wake", timer }));
    }
    this.nowMs = endMs;
    return effects;
  }

  kinds(): string[] {
    return this.log.map(({ kind }) => kind).filter((kind) => kind !== "wake");
  }
}

describe("a row", () => {
  test("changes on a transition only: a thousand observations without one have no effect at all", () => {
    const border = new Border();
    expect(border.see("web", "serving")).toEqual([{ kind: "publish", app: "web", class: "serving", highWater: 1n }]);
    for (let i = 0; i < 1_000; i++) expect(border.see("web", "serving")).toEqual([]);
    expect(border.see("web", "standby")).toMatchObject([{ kind: "publish", class: "standby", highWater: 1_002n }]);
    expect(border.summary.counts.transitions).toBe(2);
  });

  test("is withdrawn after the hold-down, not before", () => {
    const border = new Border();
    border.see("web", "serving");
    border.see("web", undefined);
    expect(border.pass(defaultSummaryConfig.holdDownMs - 1)).toEqual([]);
    expect(border.summary.classOf("web")).toBeUndefined();
    expect(border.summary.published().get("web")).toBe("serving");
    expect(border.pass(1)).toEqual([{ kind: "withdraw", app: "web", highWater: 2n }]);
    expect(border.summary.published().size).toBe(0);
  });

  test("stays without a word when the app comes back in time", () => {
    const border = new Border();
    border.see("web", "serving");
    border.see("web", undefined);
    border.pass(4_999);
    expect(border.see("web", "serving")).toEqual([]);
    expect(border.pass(60_000)).toEqual([]);
    expect(border.summary.counts).toMatchObject({ transitions: 1, suppressed: 1 });
  });

  test("is withdrawn at once when the app was deleted, even during the hold-down", () => {
    const border = new Border();
    border.see("web", "serving");
    expect(border.see("web", undefined, true).map(({ kind }) => kind)).toEqual(["withdraw"]);
    border.see("web", "serving");
    border.see("web", undefined);
    expect(border.see("web", undefined, true).map(({ kind }) => kind)).toEqual(["withdraw"]);
    expect(border.pass(60_000)).toEqual([]);
  });

  test("never carries less high water than before", () => {
    const border = new Border();
    border.handle({ kind: "observed", app: "web", class: "serving", highWater: 9n });
    expect(border.handle({ kind: "observed", app: "web", class: "standby", highWater: 3n })).toMatchObject([
      { kind: "publish", highWater: 9n },
    ]);
  });

  test("of a chronic flapper is held longer each time, and advertised all the while", () => {
    const border = new Border({ ...testSummaryConfig, withdrawFloor: 100 });
    const waits = Array.from({ length: 8 }, () => {
      border.see("web", "serving");
      border.see("web", undefined);
      const from = border.nowMs;
      while (border.index.has("web")) border.pass(10);
      return border.nowMs - from;
    });
    expect(waits.slice(0, 3)).toEqual([100, 100, 100]);
    expect(waits[7]).toBeGreaterThan(200);
    expect(Math.max(...waits)).toBeLessThanOrEqual(testSummaryConfig.holdDownMaxMs);
  });

  test("beyond the limit is refused, and the others stay", () => {
    const border = new Border(testSummaryConfig);
    border.seeMany(testSummaryConfig.appsMax, "serving");
    expect(border.see("more", "serving")).toEqual([{ kind: "refused", app: "more" }]);
    expect(border.index.size).toBe(testSummaryConfig.appsMax);
  });
});

describe("the brake", () => {
  test("holds a withdrawal of more than a fifth, says so once, and lets go when it is confirmed", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    border.seeMany(21, undefined);
    expect(border.pass(600_000)).toEqual([{ kind: "held", apps: 21, of: 100 }]);
    expect(border.index.size).toBe(100);
    const kinds = border.handle({ kind: "confirm-withdrawals" }).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "withdraw")).toHaveLength(21);
    expect(kinds.at(-1)).toBe("held");
    expect(border.summary.counts.held).toBe(0);
  });

  test("lets a fifth pass", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    border.seeMany(20, undefined);
    border.pass(5_000);
    expect(border.index.size).toBe(80);
  });

  test("is not fooled by many small withdrawals within its window", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    for (let i = 0; i < 100; i++) {
      border.see(`app-${i}`, undefined);
      border.pass(500);
    }
    // Eleven have gone, and with the nine in hold-down that is a fifth.
    expect(border.index.size).toBe(89);
    expect(border.kinds()).toContain("held");
  });

  test("lets more pass by itself as its window moves on", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    border.seeMany(15, undefined);
    border.pass(5_000);
    for (let i = 15; i < 30; i++) border.see(`app-${i}`, undefined);
    border.pass(59_999);
    expect(border.index.size).toBe(85);
    border.pass(1);
    expect(border.index.size).toBe(70);
  });

  test("holds bulk deletions too", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    for (let i = 0; i < 100; i++) border.see(`app-${i}`, undefined, true);
    expect(border.index.size).toBe(80);
  });

  test("leaves a small region alone", () => {
    const border = new Border();
    border.seeMany(9, "serving");
    border.seeMany(9, undefined);
    border.pass(5_000);
    expect(border.index.size).toBe(0);
  });

  test("lets the rest go once enough have come back", () => {
    const border = new Border();
    border.seeMany(100, "serving");
    border.seeMany(30, undefined);
    border.pass(5_000);
    for (let i = 0; i < 9; i++) border.see(`app-${i}`, "serving");
    expect(border.index.size).toBe(100);
    border.see("app-9", "serving");
    expect(border.index.size).toBe(100); // The next may be just about to.
    border.pass(5_000);
    expect(border.index.size).toBe(80);
    expect(border.log.at(-1)).toEqual({ kind: "held", apps: 0, of: 80 });
  });
});

describe("a border that does not publish", () => {
  test("keeps the same state and says nothing", () => {
    const [silent, loud] = [new Border(defaultSummaryConfig, false), new Border()];
    for (const border of [silent, loud]) {
      border.see("web", "serving");
      border.see("db", "standby");
      border.see("web", undefined);
      border.pass(5_000);
    }
    expect(silent.kinds()).toEqual([]);
    expect([...silent.summary.published()]).toEqual([...loud.summary.published()]);
  });

  test("repairs the index both ways once it publishes", () => {
    const border = new Border(defaultSummaryConfig, false);
    border.see("missing", "serving");
    border.see("wrong", "serving");
    border.see("holding", "standby");
    border.see("holding", undefined);
    for (const app of ["wrong", "holding", "ghost"]) border.index.set(app, "standby");
    expect(border.audit()).toEqual([]);
    border.handle({ kind: "role", publishing: true });
    expect(border.audit()).toContainEqual({ kind: "repair", missing: 2, ghosts: 1 });
    expect(border.index).toEqual(
      new Map([
        ["holding", "standby"],
        ["missing", "serving"],
        ["wrong", "serving"],
      ]),
    );
    expect(border.audit()).toEqual([]);
  });

  test("with an empty view does not wipe the index when it publishes", () => {
    const border = new Border();
    for (let i = 0; i < 50; i++) border.index.set(`app-${i}`, "serving");
    expect(border.audit()).toEqual([
      { kind: "repair", missing: 0, ghosts: 50 },
      { kind: "held", apps: 50, of: 50 },
    ]);
    border.seeMany(45, "serving");
    border.pass(5_000); // Until no more come back.
    expect(border.index.size).toBe(45); // Five ghosts are not a bulk.
  });

  test("repairs with the high water of its own detail", () => {
    const border = new Border();
    border.see("web", "serving");
    const rows = [
      { app: "web", class: "standby", highWater: 7n, detailHighWater: 7n },
      { app: "ghost", class: "serving", highWater: 8n, detailHighWater: 8n },
    ] as const;
    expect(border.handle({ kind: "index", rows })).toEqual([
      { kind: "publish", app: "web", class: "serving", highWater: 7n },
      { kind: "repair", missing: 1, ghosts: 1 },
      { kind: "withdraw", app: "ghost", highWater: 8n },
    ]);
  });
});

const placement = fc.constantFrom<PlacementClass | undefined>("serving", "standby", undefined);
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ app: fc.nat(20), class: placement, deliberate: fc.boolean() }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 400 }) },
);

test("a border that is behind the index neither withdraws nor overrules what it has not heard of", () => {
  const border = new Border();
  border.see("web", "standby");
  border.handle({ kind: "role", publishing: true });
  const rows: IndexRow[] = [
    { app: "web", class: "serving", highWater: 90n, detailHighWater: 5n },
    { app: "new", class: "serving", highWater: 95n, detailHighWater: 0n },
  ];
  expect(border.handle({ kind: "index", rows })).toEqual([]);
  const caughtUp = rows.map((row) => ({ ...row, detailHighWater: 99n }));
  expect(border.handle({ kind: "index", rows: caughtUp })).toMatchObject([
    { kind: "publish", app: "web", class: "standby", highWater: 99n },
    { kind: "repair", missing: 1, ghosts: 1 },
    { kind: "withdraw", app: "new", highWater: 99n },
  ]);
});

test("once quiet, what is published is what was observed last, and so is the index", () => {
  const property = fc.property(fc.array(event, { maxLength: 120 }), fc.boolean(), (events, isConfirmed) => {
    const border = new Border(isConfirmed ? testSummaryConfig : { ...testSummaryConfig, withdrawFractionMax: 1 });
    const last = new Map<string, PlacementClass>();
    for (const each of events) {
      if (typeof each === "number") {
        border.pass(each);
        continue;
      }
      border.see(`app-${each.app}`, each.class, each.deliberate);
      if (each.class === undefined) last.delete(`app-${each.app}`);
      else last.set(`app-${each.app}`, each.class);
    }
    border.pass(10_000);
    if (isConfirmed) border.handle({ kind: "confirm-withdrawals" });
    expect(border.summary.published()).toEqual(last);
    expect(border.index).toEqual(last);
  });
  fc.assert(property, { numRuns: 500 });
});
