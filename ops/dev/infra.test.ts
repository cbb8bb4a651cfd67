/**
 * What lies in infra/ is read by machines that are not here, so this holds what can be held without them: files
 * parse, every key is explained, and every path and command they name exists.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse as parseToml, type TomlTable } from "smol-toml";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const filesIn = (directory: string, ending: string): string[] =>
  readdirSync(join(root, directory))
    .filter((name) => name.endsWith(ending))
    .map((name) => `${directory}/${name}`);

const examples = filesIn("infra/config", ".toml");
const units = filesIn("infra/systemd", ".service");
const compose = read("infra/compose/compose.yaml");
const dockerfile = read("infra/images/Dockerfile");

describe("alerts", () => {
  const alerts = "infra/observability/alerts.yaml";

  test("every metric in a rule is one that agents have", () => {
    const expressions = [...read(alerts).matchAll(/expr: (.+)/g)].map(([, expression]) => String(expression));
    const named = expressions.flatMap((expression) => expression.match(/patina_\w+/g) ?? []);
    expect(named.length).toBeGreaterThanOrEqual(expressions.length);
    const told = ["metrics.ts", "router-metrics.ts"].map((file) => read(`packages/telemetry/src/${file}`)).join("");
    expect(named.filter((name) => !told.includes(`"${name}"`))).toEqual([]);
  });

  test("each says what to do, and the pages it names are there", () => {
    const rules = read(alerts).split("- alert: ").slice(1);
    expect(rules.filter((rule) => !/description: \S/.test(rule))).toEqual([]);
    const pages = read(alerts).match(/ops\/[\w/-]+\.md/g) ?? [];
    expect(pages.filter((page) => !existsSync(join(root, page)))).toEqual([]);
  });

  test.skipIf(spawnSync("promtool", ["--version"]).error !== undefined)("Prometheus takes them", () => {
    const { status, stderr } = spawnSync("promtool", ["check", "rules", join(root, alerts)], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});

describe("configuration", () => {
  test("every key of an example has a comment above it", () => {
    for (const path of examples) {
      const lines = read(path).split("\n");
      const bare = lines.filter((line, i) => /^\w+ *=/.test(line) && !lines[i - 1]?.startsWith("#"));
      expect(bare, path).toEqual([]);
    }
  });

  test("the compose files use only keys that an example explains", () => {
    const explained = new Set(examples.flatMap((path) => keysOf(parseToml(read(path)))));
    for (const path of filesIn("infra/compose", ".toml")) {
      expect(
        keysOf(parseToml(read(path))).filter((key) => !explained.has(key)),
        path,
      ).toEqual([]);
    }
    for (const [, name = ""] of compose.matchAll(/PATINA__(\w+):/g)) {
      expect(explained).toContain(name.toLowerCase().replaceAll("__", "."));
    }
  });
});

describe("compose", () => {
  const services = [...compose.matchAll(/^ {2}([a-z]+-\d):\n((?: {4}.*\n)+)/gm)].map(([, name = "", body = ""]) => ({
    name,
    body,
    cluster: name.replace(/-\d$/, ""),
  }));

  test("runs two regions of three agents and two global agents", () => {
    const count = (cluster: string): number => services.filter((service) => service.cluster === cluster).length;
    expect([count("iad"), count("fra"), count("global")]).toEqual([3, 3, 2]);
  });

  test("gives each agent its own name, data, cluster's file and network", () => {
    for (const { name, body, cluster } of services) {
      expect(body).toContain(`PATINA__GOSSIP__ADVERTISE: ${name}:7946`);
      expect(body).toContain(`PATINA__API__ADVERTISE: http://${name}:8080`);
      expect(body).toContain(`- ${name}:/var/lib/patina\n`);
      expect(body).toContain(`- ./${cluster}.toml:/etc/patina/patina.toml:ro`);
      expect(body).toContain(`${cluster === "global" ? "global" : "regional"}/dist/main.js`);
      expect(body).toMatch(cluster === "global" ? /networks: \[global, iad, fra\]/ : `networks: [${cluster}]`);
      expect(existsSync(join(root, `infra/compose/${cluster}.toml`))).toBe(true);
      expect(compose).toMatch(new RegExp(`^volumes:\\n(.*\\n)* {2}${name}:$`, "m"));
    }
  });

  test("gives each agent what secures it, and nobody another's", { timeout: 60_000 }, () => {
    const made = mkdtempSync(join(tmpdir(), "patina-compose-tls-"));
    try {
      execFileSync("sh", ["infra/compose/certificates.sh", made], { cwd: root, stdio: "pipe" });
      for (const { name, body, cluster } of services) {
        expect(body).toContain(`- tls-${name}:/etc/patina/tls:ro\n`);
        expect(body.match(/- tls-/g)).toHaveLength(1);
        expect(compose).toContain(`- tls-${name}:/tls/${name}\n`);
        const { gossip } = parseToml(read(`infra/compose/${cluster}.toml`)) as { gossip: TomlTable };
        const files = [gossip["keyring"], ...Object.values(gossip["tls"] as TomlTable)].map(String);
        for (const file of files)
          expect(existsSync(file.replace("/etc/patina/tls", join(made, name))), file).toBe(true);
      }
    } finally {
      rmSync(made, { recursive: true });
    }
  });

  test("names only agents that it runs", () => {
    const names = new Set(services.map(({ name }) => name));
    const named = filesIn("infra/compose", ".toml").flatMap(
      (path) => read(path).match(/\b(iad|fra|global)-\d\b/g) ?? [],
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !names.has(name))).toEqual([]);
  });
});

describe("what infra names exists in the repository", () => {
  test("programs", () => {
    const all = [compose, dockerfile, ...units.map(read)].join("\n");
    const programs = new Set(all.match(/\b(regional|global)\/dist\/main\.js/g) ?? []);
    expect(programs.size).toBe(2);
    for (const program of programs) {
      const source = program.replace("/dist/", "/src/").replace(/\.js$/, ".ts");
      expect(existsSync(join(root, source)), source).toBe(true);
    }
  });

  test("files and npm scripts", () => {
    const text = [compose, dockerfile, ...units.map(read), ...examples.map(read)].join("\n");
    for (const path of new Set(text.match(/\binfra\/[\w./-]*\w/g) ?? [])) {
      expect(existsSync(join(root, path)), path).toBe(true);
    }
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const [, script = ""] of dockerfile.matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(script);
  });

  test("the image's directories are the ones its configuration uses", () => {
    for (const directory of ["/var/lib/patina", "/var/lib/patina-checkpoints"]) {
      expect(dockerfile).toMatch(new RegExp(`chown node:node .*${directory}( |\\n)`));
    }
  });
});

const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
if (!hasSystemd) process.stdout.write("systemd-analyze is not installed: the units are not verified here\n");

describe("systemd units", () => {
  test("take every argument they use from their own names", () => {
    expect(units).toEqual(["infra/systemd/patina-global.service", "infra/systemd/patina-regional@.service"]);
    expect(read("infra/systemd/patina-regional@.service")).toContain("--config /etc/patina/%i.toml");
    expect(read("infra/systemd/patina-global.service")).not.toContain("%i");
  });

  test.skipIf(!hasSystemd)("pass systemd's own verification", () => {
    const directory = mkdtempSync(join(tmpdir(), "patina-units-"));
    try {
      const paths = units.map((path) => {
        // The verifier wants the program to exist: this Node stands in for the machine's.
        const copy = join(directory, path.split("/").at(-1) ?? "").replace("@.", "@iad.");
        writeFileSync(copy, read(path).replaceAll("/usr/bin/node", process.execPath));
        return copy;
      });
      // It exits 0 on an unknown directive, and says so on stderr.
      const { stderr, status } = spawnSync("systemd-analyze", ["verify", "--man=no", ...paths], { encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

test("shell scripts are executable and parse", () => {
  for (const path of [".ci/run", "ops/dev/debian-packages.sh", "infra/compose/certificates.sh"]) {
    execFileSync("bash", ["-n", join(root, path)]);
    execFileSync("test", ["-x", join(root, path)]);
  }
});

function keysOf(table: TomlTable, prefix = ""): string[] {
  return Object.entries(table).flatMap(([key, value]) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? keysOf(value as TomlTable, `${prefix}${key}.`)
      : [prefix + key],
  );
}
