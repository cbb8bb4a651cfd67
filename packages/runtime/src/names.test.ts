/** Names while the DNS answers, is slow, and is away. */
import { beforeEach, expect, test } from "vitest";
import { Names } from "./names.js";

let nowMs: number;
let asked: { host: string; answer: (address: string | undefined) => void }[];
let names: Names;

beforeEach(() => {
  [nowMs, asked] = [0, []];
  names = namesOf(4);
});

function namesOf(family: 4 | 6): Names {
  const lookup = (host: string, _: 4 | 6, answer: (address: string | undefined) => void): void =>
    void asked.push({ host, answer });
  return new Names({ family, monotonicMs: () => nowMs, lookup });
}

function used(host: string): string[] {
  const addresses: string[] = [];
  names.resolve(host, (address) => addresses.push(address));
  return addresses;
}

test("what waits for a first answer leaves with it, and then nothing asks again for a while", () => {
  const [first, second] = [used("a"), used("a")];
  expect([first, second, asked.length]).toEqual([[], [], 1]);
  asked[0]?.answer("10.0.0.1");
  expect([first, second]).toEqual([["10.0.0.1"], ["10.0.0.1"]]);
  expect([used("a"), asked.length]).toEqual([["10.0.0.1"], 1]);
});

test("a name is asked for anew in the background, and keeps its meaning when there is no answer", () => {
  used("a");
  asked[0]?.answer("10.0.0.1");
  nowMs = 60_000;
  expect([used("a"), asked.length]).toEqual([["10.0.0.1"], 2]);
  asked[1]?.answer(undefined);
  expect([used("a"), asked.length]).toEqual([["10.0.0.1"], 2]);
  nowMs = 120_000;
  used("a");
  asked[2]?.answer("10.0.0.2");
  expect(used("a")).toEqual(["10.0.0.2"]);
});

test("a name without an answer is asked for again soon, and what waited for it is let go", () => {
  const lost = used("a");
  asked[0]?.answer(undefined);
  expect([used("a"), asked.length]).toEqual([[], 1]);
  nowMs = 3000;
  const later = used("a");
  asked[1]?.answer("10.0.0.1");
  expect([lost, later]).toEqual([[], ["10.0.0.1"]]);
});

test("a slow DNS is asked for two names at once, and holds a bounded number of datagrams", () => {
  for (const host of ["a", "b", "c", "d"]) used(host);
  expect(asked.map(({ host }) => host)).toEqual(["a", "b"]);
  const late = Array.from({ length: 1000 }, () => used("a"));
  asked[0]?.answer("10.0.0.1");
  expect(late.filter(({ length }) => length > 0).length).toBeLessThan(100);
  used("c");
  expect(asked.map(({ host }) => host)).toEqual(["a", "b", "c"]);
});

test("addresses are no names, and an IPv6 socket reaches those of IPv4", () => {
  expect([used("10.0.0.1"), asked.length]).toEqual([["10.0.0.1"], 0]);
  names = namesOf(6);
  expect([used("10.0.0.1"), used("::1"), asked.length]).toEqual([["::ffff:10.0.0.1"], ["::1"], 0]);
});
