/**
 * `npm run mutants`: plants each bug of the list in a copy of the packages, runs the test that must see it, and says
 * which were caught. It fails when one survives. `npm run mutants -- tombstone` runs those whose name
 * or test has the word.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { patch } from "./patch.mjs";
import { PLANTED } from "./planted.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
/** What the tests of the list need of the house, and what that refers to. */
const PACKAGES = [...readdirSync(join(root, "packages")).map((name) => `packages/${name}`), "regional", "global"];
const SCENARIOS = "ops/scenarios";
const DEADLINE_MS = 300_000;

/** A house of its own, whose packages are copies and whose other modules are ours. */
function copyHouse() {
  const home = mkdtempSync(join(tmpdir(), "patina-mutants-"));
  for (const path of ["package.json", "ops/dev/vitest.config.ts"]) cpSync(join(root, path), join(home, path));
  writeFileSync(join(home, "tsconfig.json"), JSON.stringify({ files: [], compilerOptions: readCompilerOptions() }));
  for (const path of [...PACKAGES, SCENARIOS]) cpSync(join(root, path), join(home, path), { recursive: true });
  mkdirSync(join(home, "node_modules/@patina"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@patina" && name !== ".cache")
      symlinkSync(join(root, "node_modules", name), join(home, "node_modules", name));
  }
  for (const path of PACKAGES) symlinkSync(join(home, path), join(home, "node_modules/@patina", basename(path)));
  return home;
}

/** Writes the source and what it compiles to: child processes and other packages run the compiled file. */
function write(home, file, source) {
  writeFileSync(join(home, file), source);
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...readCompilerOptions(), module: "esnext", moduleResolution: "bundler", sourceMap: false },
    root,
  );
  const { outputText } = ts.transpileModule(source, { compilerOptions: options, fileName: file });
  writeFileSync(join(home, file.replace("/src/", "/dist/").replace(/\.ts$/, ".js")), outputText);
}

function readCompilerOptions() {
  return ts.readConfigFile(join(root, "tsconfig.json"), (path) => readFileSync(path, "utf8")).config.compilerOptions;
}

/** What the test says is wrong in that house; nothing when it passes. A test that hangs has seen the bug, too. */
async function complaintOf(home, test) {
  const config = ["--config", "ops/dev/vitest.config.ts", "--reporter", "default", "--bail", "1"];
  const args = ["node_modules/vitest/vitest.mjs", "run", ...config, test];
  const child = spawn(process.execPath, args, {
    cwd: home,
    env: { ...process.env, NO_COLOR: "1", PATINA_SHRINK: "0" },
    stdio: "pipe",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
  let isLate = false;
  const deadline = setTimeout(() => (isLate = child.kill("SIGKILL")), DEADLINE_MS);
  const code = await new Promise((done) => child.once("close", done));
  clearTimeout(deadline);
  if (isLate) return `it was not done after ${DEADLINE_MS} ms`;
  if (code !== 0 && !/\b[1-9]\d* failed/.test(output)) throw new Error(`the test did not run:\n${output.slice(-3000)}`);
  if (code === 0) return undefined;
  const lines = output.split("\n").filter((line) => /^(Caused by: )?\w*Error: /.test(line.trim()));
  return (lines.at(-1) ?? "it failed").trim().slice(0, 120);
}

async function run(mutants) {
  const home = copyHouse();
  let survived = 0;
  try {
    // A copy in which nothing works would catch everything.
    for (const { file } of mutants) write(home, file, readFileSync(join(root, file), "utf8"));
    for (const test of new Set(mutants.map((mutant) => mutant.test))) {
      const complaint = await complaintOf(home, test);
      if (complaint !== undefined) throw new Error(`${test} fails without any bug planted: ${complaint}`);
    }
    for (const mutant of mutants) {
      const original = readFileSync(join(root, mutant.file), "utf8");
      const startedAt = performance.now();
      write(home, mutant.file, patch(original, mutant));
      const complaint = await complaintOf(home, mutant.test);
      write(home, mutant.file, original);
      if (complaint === undefined) survived++;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      const verdict = complaint === undefined ? "SURVIVED" : "caught  ";
      process.stdout.write(`${verdict} ${seconds.padStart(6)} s  ${mutant.name}\n`);
      if (complaint !== undefined) process.stdout.write(`                   ${complaint}\n`);
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  process.stdout.write(`${mutants.length - survived} caught, ${survived} survived\n`);
  return survived;
}

const words = process.argv.slice(2);
const chosen = PLANTED.filter(({ name, test }) => words.every((word) => `${name} ${test}`.includes(word)));
if (chosen.length === 0) process.stderr.write(`no planted bug has ${words.join(" and ")} in its name or test\n`);
process.exitCode = chosen.length === 0 ? 2 : (await run(chosen)) === 0 ? 0 : 1;
