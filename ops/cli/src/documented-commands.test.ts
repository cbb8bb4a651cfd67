/** What the pages tell a reader to type, this command line takes: every `npx patina …` of the README, guides and runbooks is parsed. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { commandsFor } from "./commands.js";

const ROOT = new URL("../../../", import.meta.url);
const FOLDERS = ["./", "ops/guide/", "ops/runbooks/", "infra/", "infra/terraform/"];

/** The words behind `npx patina` in one line: quotes are taken off, and a comment that follows is not the command's. */
function typed(line: string): string[] | undefined {
  const command = /\bnpx patina (.*)$/.exec(line)?.[1]?.replace(/[ ]#.*$/, "");
  return command?.match(/"[^"]*"|'[^']*'|[^\s"']+/g)?.map((word) => word.replace(/^["']|["']$/g, ""));
}

/** Every command inside a fenced block of a page, with where it stands. */
function commandsOf(page: string): [where: string, words: string[]][] {
  let fenced = false;
  return readFileSync(new URL(page, ROOT), "utf8")
    .split("\n")
    .flatMap((line, index): [string, string[]][] => {
      if (/^\s*```/.test(line)) fenced = !fenced;
      const words = fenced ? typed(line) : undefined;
      return words === undefined ? [] : [[`${page}:${index + 1} patina ${words.join(" ")}`, words]];
    });
}

/** The whole command line, with nothing behind it: it parses, refuses what it would refuse, and does no work. */
async function idle(): Promise<Command> {
  const program = new Command("patina");
  for (const add of await commandsFor(undefined)) add(program);
  const still = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    command.action(() => undefined).commands.forEach(still);
  };
  still(program);
  return program;
}

const pages = FOLDERS.flatMap((folder) =>
  readdirSync(fileURLToPath(new URL(folder, ROOT)))
    .filter((name) => name.endsWith(".md"))
    .map((name) => folder.replace("./", "") + name),
);
const program = await idle();
const documented = pages.flatMap(commandsOf);

describe("what the pages say can be typed", () => {
  test.each(documented)("%s", async (_where, words) => {
    await expect(program.parseAsync(words, { from: "user" })).resolves.toBeDefined();
  });

  test("the pages that have commands are found", () => {
    expect(documented.length).toBeGreaterThan(50);
  });

  test.each([
    [["members", "--regoin", "iad"], "unknown option '--regoin'"],
    [["checkpoint", "forget"], "too many arguments"],
    [["claim", "--region", "iad"], "missing required argument"],
    [["region", "restore", "iad", "fra", "--from", "latest"], "too many arguments"],
  ])("and a slip is refused: %s", async (words, message) => {
    await expect(program.parseAsync(words, { from: "user" })).rejects.toThrow(message);
  });
});
