/**
 * `npm run check`: everything that can be said about the code without running it. The four tools run side by side;
 * each gets one line with its time, and only those that fail get to say more.
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

const CHECKS = [
  {
    name: "format",
    fix: "npm run format",
    command: ["prettier/bin/prettier.cjs", "--check", ".", "--config", "ops/dev/prettier.json", "--log-level=warn"],
  },
  {
    name: "lint",
    fix: "npx oxlint --type-aware -c ops/dev/oxlint.json --fix",
    command: ["oxlint/bin/oxlint", "--type-aware", "-c", "ops/dev/oxlint.json", "--deny-warnings"],
  },
  {
    name: "unused",
    fix: "delete what is listed, or use it",
    command: ["knip/bin/knip.js", "--config", "ops/dev/knip.json", "--no-progress", "--no-config-hints"],
  },
  {
    name: "test types",
    fix: "npx tsc -p ops/dev/tsconfig.tests.json",
    command: ["typescript/bin/tsc", "-p", "ops/dev/tsconfig.tests.json", "--pretty", "false"],
  },
];

/** Runs every check, reports each, and returns how many passed and failed. */
export async function check() {
  const results = await Promise.all(CHECKS.map(runCheck));
  const failed = results.filter((isPassed) => !isPassed).length;
  return { passed: results.length - failed, failed };
}

async function runCheck({ name, fix, command: [tool, ...args] }) {
  const startedAt = performance.now();
  const { code, output } = await run([process.execPath, `node_modules/${tool}`, ...args]);
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
  const line = `${code === 0 ? "ok  " : "FAIL"} ${name.padEnd(10)} ${seconds.padStart(5)} s`;
  const text = code === 0 ? "" : `\n${output.trim().replace(/^/gm, "     ")}\n     to fix: ${fix}`;
  process.stdout.write(`${line}${text}\n`);
  return code === 0;
}

function run([file, ...args]) {
  return new Promise((done, fail) => {
    const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" };
    const child = spawn(file, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (output += text));
    child.on("error", fail);
    child.on("close", (code) => done({ code: code ?? 1, output }));
  });
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { failed } = await check();
  process.exitCode = failed === 0 ? 0 : 1;
}
