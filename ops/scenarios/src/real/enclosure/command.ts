/** Runs one of the system's own programs and waits for it: they take milliseconds. */
import { spawnSync } from "node:child_process";

/** Throws what the program had to say when it fails. */
export function run(program: string, args: readonly string[], input = ""): void {
  const { status, error, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
  if (status === 0) return;
  throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
