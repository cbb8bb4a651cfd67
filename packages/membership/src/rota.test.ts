/** Whose turn it is: everybody once a cycle, and whoever there is doubt about before the others, but not for ever. */
import { Rng } from "@patina/base";
import { expect, test } from "vitest";
import type { Member } from "./member.js";
import { Rota } from "./rota.js";

const present: Member[] = ["a", "b", "c", "d", "e"].map((nodeId) => {
  return { nodeId, boot: 1, incarnation: 0, state: "alive", address: `${nodeId}:1`, meta: { api: "" } };
});
const turns = (rota: Rota, count: number): string[] => {
  return Array.from({ length: count }, () => rota.next(present)?.nodeId ?? "nobody");
};

test("everybody has a turn in every cycle", () => {
  const rota = new Rota(new Rng(1));
  for (let cycle = 0; cycle < 3; cycle++) expect(turns(rota, 5).sort()).toEqual(["a", "b", "c", "d", "e"]);
});

test("whoever is hurried is next, whether its turn has been or was to come, and nobody loses theirs", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const rota = new Rota(new Rng(seed));
    const before = turns(rota, 2);
    rota.hurry("c");
    const after = turns(rota, 4);
    expect(after[0]).toBe("c");
    expect(new Set([...before, ...after]).size).toBe(5);
  }
});

test("hurried again and again, it holds up nobody", () => {
  const rota = new Rota(new Rng(1));
  const seen: string[] = [];
  for (let turn = 0; turn < 12; turn++) {
    rota.hurry("c");
    seen.push(...turns(rota, 1));
  }
  for (const { nodeId } of present) expect(seen.filter((each) => each === nodeId).length).toBeGreaterThanOrEqual(2);
});
