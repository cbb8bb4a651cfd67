/** Who is not relied upon: a member that lags, or that dies and returns again and again; and for how long. */
import { type Now, Rng } from "@patina/base";
import { expect, test } from "vitest";
import { defaultMembershipConfig as config } from "./config.js";
import { Fitness } from "./fitness.js";
import { Outbox } from "./outbox.js";
import { Roster } from "./roster.js";

const at = (monotonicMs: number): Now => ({ monotonicMs, wallMs: 0 });

function setUp() {
  const self = { nodeId: "0".repeat(32), boot: 1, incarnation: 0, state: "alive", address: "a:1", meta: { api: "" } } as const; // prettier-ignore
  const outbox = new Outbox(config, { name: "iad", generation: 1 }, new Roster(config, self), new Rng(1));
  const fitness = new Fitness(config, outbox);
  const told = (): unknown[] => outbox.drain().map((effect) => (effect.kind === "fitness" ? effect.isFit : effect));
  return { fitness, told };
}

test("a member that lags is unfit until it no longer does, and both are told once", () => {
  const { fitness, told } = setUp();
  for (const lagMs of [0, 1999, 2001, 9000, 300]) fitness.noteLag("p", lagMs, at(0));
  expect(told()).toEqual([false, true]);
});

test("a member that came back four times in ten minutes is unfit until the first of them is long ago", () => {
  const { fitness, told } = setUp();
  for (const minute of [0, 2, 4]) fitness.noteReturn("p", at(minute * 60_000));
  expect(told()).toEqual([]);
  fitness.noteReturn("p", at(6 * 60_000));
  expect(told()).toEqual([false]);
  fitness.review(at(9.9 * 60_000));
  expect(told()).toEqual([]);
  fitness.review(at(10 * 60_000));
  expect(told()).toEqual([true]);
});

test("whoever flaps for ever is remembered in a few numbers, and forgotten with its record", () => {
  const { fitness, told } = setUp();
  for (let i = 0; i < 10_000; i++) fitness.noteReturn("p", at(i));
  expect(told()).toEqual([false]);
  fitness.forget("p");
  fitness.noteReturn("p", at(10_000));
  expect(told()).toEqual([]);
});
