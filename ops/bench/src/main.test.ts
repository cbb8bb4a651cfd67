/** The built program, run as people run it: what it prints, and what it refuses. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));

async function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [[code], out, err] = await Promise.all([
    once(child, "close") as Promise<[number]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, out, err };
}

test("every line of JSON is a figure, and a goal says whether it was reached", { timeout: 300_000 }, async () => {
  const { code, out, err } = await bench("checkpoint", "--quick", "-o", "json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const figures = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const figure of figures) {
    expect(Object.keys(figure)).toEqual(["suite", "name", "value", "unit", "versus", "ratio", "goal", "ok"]);
    expect(figure).toMatchObject({ suite: "checkpoint", name: expect.any(String), unit: expect.any(String) });
    expect(figure["value"]).toBeGreaterThan(0);
    expect(figure["ratio"] === null).toBe(figure["versus"] === null);
    expect(figure["ok"] === null).toBe(figure["goal"] === null);
  }
  const names = figures.map(({ name }) => name);
  const peers = figures.flatMap(({ versus }) => (versus === null ? [] : [versus]));
  expect(names).toEqual(expect.arrayContaining(peers)); // Each peer was measured in the same run.
  expect(names).toEqual(expect.arrayContaining(["take image", "upload to file://", "fetch image"]));
  expect(figures.find(({ name }) => name === "fetch image")?.["goal"]).toBe("ratio >= 0.5");
});

test("the store's figures name every goal", { timeout: 300_000 }, async () => {
  const { code, out, err } = await bench("store", "--quick", "-o", "json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const figures = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { name: string; value: number; goal: string | null; ok: boolean | null });
  const goals = figures.flatMap(({ name, goal }) => (goal === null ? [] : [`${name}: ${goal}`]));
  for (const goal of [
    "objects, 100 a transaction: ratio >= 0.85",
    "remote apply, 100 a transaction: ratio >= 0.85",
    "SQL statements, 100 a transaction: ratio >= 0.6",
    "unchanged objects, 100 a transaction: ratio >= 3",
    "extract of a 1-row transaction: ratio >= 5",
    "digest upkeep, share of a 100-row write: value <= 3",
    "acknowledged writes at FULL, 64 writers: ratio >= 10",
    "database size, housekeeping keeps up: value <= 1.15",
    "metadata, end to start: value <= 1.5",
  ]) {
    expect(goals).toContain(goal);
  }
  // What does not depend on the machine must hold on any.
  const exact = figures.filter(({ goal }) => goal === "value <= 0");
  expect(exact.map(({ value, ok }) => ({ value, ok }))).toEqual(Array(4).fill({ value: 0, ok: true }));
});

test("what it does not know is refused with the usage", async () => {
  for (const args of [["stores"], ["--fast"], ["store", "-o", "xml"]]) {
    const { code, out, err } = await bench(...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("usage: npm run bench");
  }
});
