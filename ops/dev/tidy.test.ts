/**
 * The rules of the house, held over every source file, and each shown to catch what it forbids. A failure lists
 * `file:line what to do instead`.
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { chanceComesFromEntropy, inputsComeThroughPrograms, timeComesFromTheClock } from "./tidy/ambient.js";
import { importsPointDown, packagesAreImportedByName, pureImportsPure } from "./tidy/imports.js";
import {
  filesAreShort,
  filesOpenWithAComment,
  functionsAreShort,
  namesSaySomething,
  nothingIsLeftOver,
} from "./tidy/shape.js";
import { parse, readSources, type Rule, type Source } from "./tidy/source.js";

interface Held {
  readonly sentence: string;
  readonly rule: Rule;
  /** Each `[path, text]` must be refused once. */
  readonly bad: readonly (readonly [path: string, text: string])[];
  /** Each must pass. */
  readonly good: readonly (readonly [path: string, text: string])[];
}

const STORE = "packages/store/src/commit.ts";
const GOSSIP = "packages/gossip/src/need.ts";
const line = "let a;\n";

const HOUSE_RULES: readonly Held[] = [
  {
    sentence: "imports point down the layers, never up or sideways",
    rule: importsPointDown,
    bad: [
      [GOSSIP, `import { a } from "@patina/membership";`],
      ["regional/src/main.ts", `import { a } from "@patina/global";`],
      ["packages/runtime/src/driver.ts", `export * from "@patina/sim";`],
      [STORE, `const a = await import("@patina/agent");`],
      ["packages/base/src/ids.ts", `type A = import("@patina/store").Store;`],
      ["packages/api/src/routes.ts", `import { a } from "@patina/cli";`],
      [STORE, `import "@patina/nowhere";`],
    ],
    good: [
      ["packages/agent/src/agent.ts", `import { a } from "@patina/gossip";\nimport { b } from "@patina/membership";`],
      ["ops/cli/src/main.ts", `import { a } from "@patina/base";\nimport { b } from "@patina/regional";`],
    ],
  },
  {
    sentence: "pure packages import only pure packages",
    rule: pureImportsPure,
    bad: [
      [GOSSIP, `import { createHash } from "node:crypto";`],
      [GOSSIP, `import { z } from "zod";`],
      ["packages/agent/src/agent.ts", `import type { Store } from "@patina/store";`],
      ["packages/agent/src/agent.test.ts", `import { openStore } from "@patina/store";`],
    ],
    good: [
      ["packages/agent/src/agent.ts", `import { a } from "@patina/base";\nimport { b } from "./b.js";`],
      ["packages/gossip/src/need.test.ts", `import fc from "fast-check";\nimport { test } from "vitest";`],
    ],
  },
  {
    sentence: "another package is imported by its name, a neighbour by its file",
    rule: packagesAreImportedByName,
    bad: [
      [STORE, `import { a } from "@patina/base/dist/ids.js";`],
      [STORE, `import { a } from "@patina/base/testing";`],
      [STORE, `import { a } from "../../base/src/ids.js";`],
      [STORE, `import { a } from "./index.js";`],
      [STORE, `import { a } from "@patina/store";`],
    ],
    good: [
      [STORE, `import { a } from "@patina/base";\nimport { b } from "./schema/parse.js";`],
      ["packages/store/src/commit.test.ts", `import { a } from "@patina/base/testing";`],
      ["ops/cli/src/commands/members.ts", `import { a } from "@patina/api/client";`],
    ],
  },
  {
    sentence: "time is read in one file",
    rule: timeComesFromTheClock,
    bad: [
      [STORE, `const a = Date.now();`],
      [STORE, `const a = new Date();`],
      ["ops/cli/src/main.ts", `const a = performance.now();`],
      ["packages/runtime/src/driver.ts", `const a = performance.timeOrigin;`],
    ],
    good: [
      ["packages/runtime/src/clock.ts", `const a = Date.now();`],
      [STORE, `const a = new Date(wallMs).toISOString();\nconst b = "Date.now()";`],
      ["ops/bench/src/main.ts", `const a = performance.now();`],
    ],
  },
  {
    sentence: "chance is drawn in one file",
    rule: chanceComesFromEntropy,
    bad: [
      [STORE, `const a = Math.random();`],
      [STORE, `const a = crypto.getRandomValues(b);`],
      [STORE, `import { randomBytes } from "node:crypto";`],
      ["ops/cli/src/main.ts", `const a = crypto.randomUUID();`],
    ],
    good: [["packages/runtime/src/entropy.ts", `import { randomBytes } from "node:crypto";`]],
  },
  {
    sentence: "arguments and environment are read by the programs only",
    rule: inputsComeThroughPrograms,
    bad: [
      [STORE, `const a = process.env;`],
      ["regional/src/tier.ts", `const a = process.argv[2];`],
    ],
    good: [
      ["regional/src/main.ts", `const a = process.argv[2];`],
      ["ops/cli/src/main.ts", `const a = process.env;`],
    ],
  },
  {
    sentence: "a file has at most 400 lines",
    rule: filesAreShort,
    bad: [[STORE, line.repeat(401)]],
    good: [[STORE, line.repeat(400)]],
  },
  {
    sentence: "a function has at most 70 lines",
    rule: functionsAreShort,
    bad: [
      [STORE, `function a() {\n${line.repeat(70)}}`],
      [STORE, `class A {\n  b() {\n${line.repeat(70)}}\n}`],
      [STORE, `const a = () => {\n${line.repeat(70)}};`],
    ],
    good: [
      [STORE, `function a() {\n${line.repeat(68)}}`],
      ["packages/store/src/commit.test.ts", `describe("a", () => {\n${line.repeat(90)}});`],
    ],
  },
  {
    sentence: "a file is named after what is in it",
    rule: namesSaySomething,
    bad: [
      ["packages/store/src/utils.ts", ""],
      ["packages/store/src/types.ts", ""],
      ["packages/store/src/common/rows.ts", ""],
      ["packages/store/src/helpers.test.ts", ""],
    ],
    good: [["packages/store/src/column-types.ts", ""]],
  },
  {
    sentence: "a file opens with a comment",
    rule: filesOpenWithAComment,
    bad: [[STORE, `import { a } from "./a.js";\n/** Too late. */`]],
    good: [
      [STORE, `/** Why. */\nimport { a } from "./a.js";`],
      ["ops/cli/src/main.ts", `#!/usr/bin/env node\n// Why.\n`],
    ],
  },
  {
    sentence: "nothing is left over",
    rule: nothingIsLeftOver,
    bad: [
      [STORE, `// TODO: later`],
      [STORE, `/* FIXME */`],
      [STORE, `// @ts-ignore\nlet a;`],
      [STORE, `test.only("a", b);`],
      [STORE, `describe.concurrent.skip("a", b);`],
      [STORE, `const a = b as any;`],
      [STORE, `function a(b: any[]) {}`],
      [STORE, `try { a(); } catch {}`],
      [STORE, `console.log(a);`],
    ],
    good: [
      [STORE, `const a = "TODO";\nconst b = \`FIXME \${a} XXX\`;`],
      [STORE, `test.skipIf(a)("b", c);\niterator.skip(1);`],
      [STORE, `try { a(); } catch { /* Gone already. */ }`],
      ["ops/cli/src/main.ts", `console.log(a);`],
    ],
  },
];

const sources = readSources(fileURLToPath(new URL("../..", import.meta.url)));

test("tidy sees the house", () => {
  expect(sources.map(({ path }) => path)).toContain("packages/base/src/ids.ts");
  expect(sources.filter(({ path }) => path.includes("node_modules") || path.includes("/dist/"))).toEqual([]);
});

for (const { sentence, rule, bad, good } of HOUSE_RULES) {
  test(sentence, () => {
    expect(sources.flatMap((source) => complaints(rule, source)).join("\n")).toBe("");
  });

  test(`${sentence}: the rule can fail, and only where it should`, () => {
    for (const [path, text] of bad) expect(complaints(rule, parse(path, text)), text).toHaveLength(1);
    for (const [path, text] of good) expect(complaints(rule, parse(path, text)), text).toEqual([]);
  });
}

function complaints(rule: Rule, source: Source): string[] {
  return rule(source).map(({ line: at, say }) => `${source.path}:${at} ${say}`);
}
