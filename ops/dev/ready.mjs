/**
 * Brings a checkout to the state in which everything can run: dependencies installed, native module loadable,
 * packages built. Every npm script starts here, so `git pull && npm start` needs no other step. It says one line for
 * each step that has work to do, on stderr, and nothing at all when there is none.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const NPM_CI = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"];
const COMPILER_HINT =
  "better-sqlite3 is compiled on install: it needs python3, make and g++ (Debian: apt-get install python3 make g++).";
const NETWORK_HINT = "The npm registry must be reachable; `npm config get registry` says which one is used.";

if (!isInstalled()) await step("install", NPM_CI, `${COMPILER_HINT} ${NETWORK_HINT}`);
if (!isNativeLoadable()) await step("compile better-sqlite3", ["npm", "rebuild", "better-sqlite3"], COMPILER_HINT);
await build();

/** True when what npm recorded as installed is what the lock file asks for. Optional packages may be absent. */
function isInstalled() {
  const wanted = packagesIn("package-lock.json");
  const present = packagesIn("node_modules/.package-lock.json");
  if (present === undefined || wanted === undefined) return false;
  return Object.entries(wanted).every(([path, { version, resolved, link, optional, devOptional }]) => {
    if (path === "") return true;
    const found = present[path];
    if (found === undefined) return optional === true || devOptional === true;
    return link === true ? found.resolved === resolved : found.version === version;
  });
}

function packagesIn(lockFile) {
  try {
    return JSON.parse(readFileSync(`${root}/${lockFile}`, "utf8")).packages;
  } catch {
    return undefined; // Absent or cut short: either way the install did not finish.
  }
}

/** False after a change of Node's major version, or an install that skipped scripts. */
function isNativeLoadable() {
  try {
    const Database = createRequire(import.meta.url)("better-sqlite3");
    new Database(":memory:").close();
    return true;
  } catch {
    return false;
  }
}

async function step(what, command, hint) {
  process.stderr.write(`${what}: `);
  const startedAt = performance.now();
  const ticker = setInterval(() => process.stderr.write("."), 3_000);
  const { code, output } = await run(command, () => {});
  clearInterval(ticker);
  if (code === 0) return process.stderr.write(` ${secondsSince(startedAt)}\n`);
  const tail = output.trimEnd().split("\n").slice(-30).join("\n");
  process.stderr.write(`failed\n\n${tail}\n\n\`${command.join(" ")}\` failed (exit ${code}). ${hint}\n`);
  process.exit(1);
}

/** `tsc -b` decides what is stale; its verbose lines tell when it found work, so that an idle run stays silent. */
async function build() {
  const startedAt = performance.now();
  let projects = 0;
  const tsc = [process.execPath, "node_modules/typescript/bin/tsc", "-b", "--verbose", "--pretty", "false"];
  const { code, output } = await run(tsc, (line) => {
    if (!line.includes("Building project")) return;
    if (projects++ === 0) process.stderr.write("build: ");
    process.stderr.write(".");
  });
  if (projects > 0)
    process.stderr.write(` ${projects} ${projects === 1 ? "package" : "packages"}, ${secondsSince(startedAt)}\n`);
  if (code === 0) return;
  const diagnostics = output.split("\n").filter((line) => !/^\[.*\]|^Projects in this build|^ {4}\* /.test(line));
  process.stderr.write(
    `${diagnostics.join("\n").trim()}\n\nThe build failed: fix the errors above and run it again.\n`,
  );
  process.exit(1);
}

function run([file, ...args], onLine) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let line = "";
    const collect = (text) => {
      output += text;
      const lines = (line + text).split("\n");
      line = lines.pop();
      lines.forEach(onLine);
    };
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

function secondsSince(startedAt) {
  return `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;
}
