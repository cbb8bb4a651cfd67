/** Kept answers, against a list of everything that was ever said. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { testRouterConfig } from "../config.js";
import { Answers, type GivenAnswer } from "./answers.js";

const here = (region: string, id: number): GivenAnswer => {
  return { region, outcome: "here", generation: 1, machines: [{ id }], ageMs: 0 };
};

test("a denial is kept like any other answer", () => {
  const answers = new Answers(testRouterConfig);
  const denial: GivenAnswer = { region: "iad", outcome: "not-here", generation: 1 };
  answers.keep("web", denial, 0);
  expect(answers.recall("web", "iad", 100, 100)).toEqual(denial);
});

test("an app that alone has more answers than there is room for has none kept", () => {
  const answers = new Answers(testRouterConfig);
  const regions = Array.from({ length: testRouterConfig.answersMax + 1 }, (_, i) => `r${i}`);
  for (const region of regions) answers.keep("web", here(region, 1), 0);
  expect(answers.size).toBe(0);
  answers.keep("web", here("r0", 2), 0);
  expect(answers.recall("web", "r0", 100, 0)).toBeDefined();
});

test("whatever was kept and forgotten, what is recalled is the last word and no older than asked for; all is bounded", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  /** No more of them than answers are kept: one app alone never fills the room. */
  const by = fc.constantFrom("r", "s", "t");
  const step = fc.record({
    afterMs: fc.nat(400),
    what: fc.oneof(fc.constant("keep" as const), fc.constant("forget" as const)),
    app: name,
    region: by,
  });
  const property = fc.property(
    fc.array(step, { maxLength: 30 }),
    name,
    by,
    fc.nat(1500),
    (steps, app, region, maxAgeMs) => {
      const answers = new Answers(testRouterConfig);
      const said: { app: string; region: string; atMs: number; id: number }[] = [];
      let nowMs = 0;
      for (const [id, { afterMs, what, app: about, region: from }] of steps.entries()) {
        nowMs += afterMs;
        if (what === "keep") {
          answers.keep(about, here(from, id), nowMs);
          said.push({ app: about, region: from, atMs: nowMs, id });
        } else {
          answers.forget(about);
          for (let i = said.length - 1; i >= 0; i--) if (said[i]?.app === about) said.splice(i, 1);
        }
        expect(answers.size).toBeLessThanOrEqual(testRouterConfig.answersMax);
      }
      const last = said.findLast((each) => each.app === app && each.region === region);
      const recalled = answers.recall(app, region, maxAgeMs, nowMs);
      if (recalled !== undefined) {
        const ageMs = nowMs - (last?.atMs ?? NaN);
        expect(recalled).toEqual({ ...here(region, last?.id ?? NaN), ageMs });
        expect(ageMs).toBeLessThanOrEqual(Math.min(maxAgeMs, testRouterConfig.answerMaxMs));
      }
      if (last === said.at(-1) && last !== undefined && nowMs === last.atMs) expect(recalled).toBeDefined();
    },
  );
  fc.assert(property, { numRuns: 3000 });
});
