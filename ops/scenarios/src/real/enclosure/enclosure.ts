/**
 * Runs a program in namespaces of its own: network, mounts and processes. What it makes there (interfaces, packet filters,
 * file systems, agents) is gone when it ends, however it ends, since the kernel takes it all down with the namespaces.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TOOLS = ["unshare", "nsenter", "mount", "ip", "tc", "nft"] as const;
/** What a scenario uses of the kernel, tried at once. */
const TRIAL = "ip link add trial type bridge && nft add table inet trial && mount -t tmpfs none /run";
const INTERRUPTED = 130;

/** Why nothing can be enclosed here; undefined when it can. */
export function whyNotHere(): string | undefined {
  const missing = TOOLS.filter((tool) => spawnSync("which", [tool]).status !== 0);
  if (missing.length > 0) return `not installed: ${missing.join(", ")} (ops/dev/debian-packages.sh installs them)`;
  const [command, ...args] = enclosed("sh", "-c", TRIAL);
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? undefined : `the kernel does not allow namespaces here: ${stderr.trim().split("\n")[0] ?? ""}`;
}

/**
 * Runs a program of Node's enclosed, with an empty directory as its last argument, and returns its exit status. What it leaves
 * in the directory is removed, unless it is to be kept.
 */
export async function runEnclosed(program: string, args: readonly string[], isKept: boolean): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "patina-scenario-"));
  const [command, ...rest] = enclosed(process.execPath, program, ...args, dir);
  // Its input is a pipe from here, which ends with this process: then it ends, too.
  const child = spawn(command, rest, { stdio: ["pipe", "inherit", "inherit"] });
  const interrupt = (): void => void child.kill("SIGKILL"); // And with it all that is enclosed.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
  try {
    return await exitOf(child);
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, interrupt);
    if (isKept) process.stdout.write(`  kept    ${dir}\n`);
    else rmSync(dir, { recursive: true, force: true });
  }
}

async function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status ?? INTERRUPTED));
  });
}

/** Without root, root of a user namespace will do. */
function enclosed(...command: readonly [string, ...string[]]): [string, ...string[]] {
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  return [
    "unshare",
    ...asRoot,
    "--net",
    "--mount",
    "--pid",
    "--mount-proc",
    "--fork",
    "--kill-child",
    "--",
    ...command,
  ];
}
