/** Configuration: what is wrong is named by file, line and key, and the environment wins over the file. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@patina/base";
import { afterAll, describe, expect, test } from "vitest";
import { agentConfigSchema } from "./config.js";
import { loadConfig } from "./config-file.js";

const dir = mkdtempSync(join(tmpdir(), "patina-config-"));
afterAll(() => rmSync(dir, { recursive: true }));

const GOOD = `node_dir = "/var/lib/patina/node"

[cluster]
name = "iad"

[gossip]
address = "127.0.0.1:7946"
insecure = true

[api]
address = "127.0.0.1:8080"
`;

function load(text: string, env: Record<string, string> = {}): ReturnType<typeof loadConfig<unknown>> {
  const path = join(dir, "agent.toml");
  writeFileSync(path, text);
  return loadConfig<unknown>(path, env, agentConfigSchema);
}

function problemOf(text: string): string {
  try {
    load(text);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "config-invalid") return thrown.message;
    throw thrown;
  }
  return "accepted";
}

describe("configuration", () => {
  test("a good file gets its defaults", () => {
    expect(load(GOOD)).toMatchObject({ cluster: { name: "iad" }, gossip: { seeds: [] }, log: { level: "info" } });
  });

  test.each([
    ["a value of the wrong kind", GOOD.replace('"iad"', "7"), "agent.toml:4: cluster.name"],
    ["a name with capitals", GOOD.replace('"iad"', '"IAD"'), "agent.toml:4: cluster.name: must be lower-case"],
    [
      "an address without a port",
      GOOD.replace("127.0.0.1:8080", "localhost"),
      "agent.toml:11: api.address: must be host:port",
    ],
    ["a key that does not exist", GOOD.replace("insecure = true", "insecur = true"), "gossip"],
    ["a key that is missing", GOOD.replace('name = "iad"', ""), "agent.toml:3: cluster.name"],
    ["no TOML at all", "name = [", "agent.toml:1:"],
  ])("%s is named with its file and line", (_what, text, expected) => {
    expect(problemOf(text)).toContain(expected);
  });

  test("every problem is reported at once", () => {
    const text = GOOD.replace('"iad"', "7").replace("127.0.0.1:8080", "localhost");
    expect(problemOf(text).split("\n").length).toBe(2);
  });

  test("a file that is not there is an error that names it", () => {
    expect(() => loadConfig(join(dir, "none.toml"), {}, agentConfigSchema)).toThrow(/none\.toml/);
  });

  test("a wildcard to listen on needs an address for the others", () => {
    const everywhere = GOOD.replace("127.0.0.1:7946", "0.0.0.0:7946").replace("127.0.0.1:8080", "[::]:8080");
    expect(problemOf(everywhere)).toMatch(/gossip\.advertise: must be set[^]*api\.advertise: must be set/);
    const env = { PATINA__GOSSIP__ADVERTISE: "a:1", PATINA__API__ADVERTISE: "http://a:2" };
    expect(load(everywhere, env)).toMatchObject({ gossip: { advertise: "a:1" }, api: { advertise: "http://a:2" } });
  });

  test("the environment may set text that looks like a number, and keys below what the file has as a value", () => {
    const env = { PATINA__WORKER: "42", PATINA__LOG__LEVEL: "warn" };
    expect(load(`log = "info"\n${GOOD}`, env)).toMatchObject({ worker: "42", log: { level: "warn" } });
  });

  test("the environment wins, with its values typed", () => {
    const env = {
      PATINA__GOSSIP__SEEDS: '["127.0.0.1:1"]',
      PATINA__NODE_DIR: "/elsewhere",
      PATINA__QUERY__READERS: "3",
    };
    expect(load(GOOD, env)).toMatchObject({
      node_dir: "/elsewhere",
      gossip: { seeds: ["127.0.0.1:1"] },
      query: { readers: 3 },
    });
  });
});
