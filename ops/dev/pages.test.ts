/**
 * What the pages point at is there: every link, every path of the tree, every file that is named, and every npm script. A
 * reader who follows a page must not end before a door that was moved.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FILES = execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" }).trim().split("\n");
const NAMES = new Set(FILES.map((file) => path.basename(file)));
const PAGES = FILES.filter((file) => file.endsWith(".md"));
const { scripts } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

/** What a page says that is not so, as a sentence each. */
function amiss(page: string, text: string): string[] {
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].map(([, to = ""]) => to);
  const spans = [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
  const paths = spans.filter((span) => /^(packages|regional|global|ops|infra)\/[\w./-]*$/.test(span));
  const names = spans.filter((span) => /^[\w-]+(\.\w+)*\.(ts|mjs|toml|yaml|sql)$/.test(span));
  const asked = [...text.matchAll(/\bnpm run ([\w-]+)/g)].map(([, script = ""]) => script);
  return [
    ...links.filter((to) => !existsSync(path.join(ROOT, path.dirname(page), to))).map((to) => `no ${to} behind a link`),
    ...paths.filter((to) => !existsSync(path.join(ROOT, to))).map((to) => `no ${to}`),
    ...names.filter((name) => !NAMES.has(name)).map((name) => `no file is called ${name}`),
    ...asked.filter((script) => scripts[script] === undefined).map((script) => `no npm script ${script}`),
  ];
}

describe("what the pages point at is there", () => {
  test.each(PAGES)("%s", (page) => {
    expect(amiss(page, readFileSync(path.join(ROOT, page), "utf8"))).toEqual([]);
  });

  test.each([
    ["[a page](ops/guide/nowhere.md)", "no ops/guide/nowhere.md behind a link"],
    ["in `packages/store/src/nowhere.ts`", "no packages/store/src/nowhere.ts"],
    ["see `nowhere-at-all.ts`", "no file is called nowhere-at-all.ts"],
    ["`npm run nothing`", "no npm script nothing"],
  ])("%s is refused", (text, sentence) => {
    expect(amiss("README.md", text)).toEqual([sentence]);
  });
});
