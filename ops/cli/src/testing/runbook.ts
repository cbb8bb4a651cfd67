/** Follows a runbook to the letter: runs the commands that stand in it, in their order, with what its variables stand for. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AppError } from "@patina/base";
import type { Ran } from "./fleet.js";

const RUNBOOKS = new URL("../../../runbooks/", import.meta.url);
const COMMAND = "npx patina ";

export class Runbook {
  readonly #patina: (...args: string[]) => Promise<Ran>;
  readonly #commands: string[];

  /** Throws when there is no such runbook, or nothing to run in it. */
  constructor(name: string, patina: (...args: string[]) => Promise<Ran>) {
    const text = readFileSync(fileURLToPath(new URL(`${name}.md`, RUNBOOKS)), "utf8");
    const blocks = [...text.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].map(([, block = ""]) => block);
    this.#commands = blocks.flatMap((block) => block.split("\n").map((line) => line.trim())).filter((line) => line !== ""); // prettier-ignore
    this.#patina = patina;
    if (this.#commands.length === 0) throw new AppError("internal", `${name} has no commands`);
  }

  /** Commands not run yet. */
  get left(): readonly string[] {
    return this.#commands;
  }

  /** Runs the next command, which must begin with these words; answers what it printed. A variable may stand for several words. */
  async next(expected: string, variables: Readonly<Record<string, string | readonly string[]>> = {}): Promise<string> {
    const command = this.#commands.shift() ?? "nothing";
    if (!command.startsWith(COMMAND + expected)) throw new Error(`the runbook says ${command}, not ${expected}`);
    const words = command.slice(COMMAND.length).match(/"[^"]*"|\S+/g) ?? [];
    const args = words.flatMap((word): string[] => {
      const bare = word.replace(/^"|"$/g, "");
      const value = bare.startsWith("$") ? variables[bare.slice(1)] : bare;
      if (value === undefined) throw new Error(`nothing stands for ${bare}`);
      return typeof value === "string" ? [value] : [...value];
    });
    const { status, stdout, stderr } = await this.#patina(...args);
    if (status === 0) return stdout;
    throw new Error(`${command}: exit ${status}\n${stdout}${stderr}`);
  }
}
