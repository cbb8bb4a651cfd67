/**
 * `npm test`: the checks, then every test. `npm test -- packages/store` (any arguments of vitest) runs just those
 * tests and skips the checks. The last line printed is the count, with each check counted as one test.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { check } from "./check.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const filters = process.argv.slice(2);

const checks = filters.length === 0 ? await check() : { passed: 0, failed: 0 };
const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "ops/dev/vitest.config.ts", ...filters];
const env = { ...process.env, NO_COLOR: "1", PATINA_CHECKS: `${checks.passed},${checks.failed}` };
const child = spawn(process.execPath, vitest, { cwd: root, env, stdio: "inherit" });
child.on("error", (error) => {
  process.stderr.write(`cannot start the test runner: ${error.message}\n`);
  process.exitCode = 1;
});
child.on("close", (code) => {
  process.exitCode = code === 0 && checks.failed > 0 ? 1 : (code ?? 1);
});
