/**
 * Faults on real agents, the ones that take seconds: each is played by the program that people run, in namespaces of its own.
 * Where the kernel or a missing tool forbids that, they are skipped, and it says why.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { whyNotHere } from "./enclosure/enclosure.js";

const MAIN = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

const reason = whyNotHere();
if (reason !== undefined) process.stderr.write(`scenarios on real agents are skipped: ${reason}\n`);

async function play(...args: string[]): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [[code], said] = await Promise.all([once(child, "close") as Promise<[number]>, text(child.stdout)]);
  return { code, said };
}

/** How many processes have this in their command line. */
function processesWith(words: string): number {
  const lines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return ""; // It has ended meanwhile.
      }
    });
  return lines.filter((line) => line.includes(words)).length;
}

const leftBehind = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("patina-scenario-"));

describe.skipIf(reason !== undefined)("real agents", () => {
  test.each(["crash", "one-way-cut", "full-disk"])("come through: %s", { timeout: 120_000 }, async (name) => {
    const { code, said } = await play(name, "--short");
    expect(said).toContain("ok: members alive");
    expect(code).toBe(0);
  });

  test("and everything around them are gone when the player is killed in the middle", { timeout: 60_000 }, async () => {
    const before = leftBehind();
    const child = spawn(process.execPath, [MAIN, "loss", "--short"], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    for await (const piece of child.stdout) if ((said += String(piece)).includes("know each other")) break;
    const [directory] = leftBehind().filter((name) => !before.includes(name));
    const agents = (): number => processesWith(`--config ${join(tmpdir(), directory ?? "")}/`);
    expect(agents()).toBe(5);
    child.kill("SIGINT");
    await once(child, "exit");
    expect(leftBehind()).toEqual(before);
    await expect.poll(agents, { timeout: 5000 }).toBe(0);
  });
});

test("what it does not know is refused with the usage, and the list names every scenario", async () => {
  expect((await play("crush")).code).toBe(2);
  const { said } = await play("--list");
  for (const name of ["crash", "partition", "one-way-cut", "loss", "pause", "slow-link", "full-disk", "clock-ahead"]) {
    expect(said).toContain(`${name} `);
  }
});
