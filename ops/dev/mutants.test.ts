/** The list of planted bugs fits the sources it is about; `npm run mutants` shows that each is caught. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Planted {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly test: string;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
const load = async (file: string): Promise<unknown> => import(new URL(file, import.meta.url).href);
const { PLANTED } = (await load("mutants/planted.mjs")) as { PLANTED: readonly Planted[] };
const { patch } = (await load("mutants/patch.mjs")) as { patch: (source: string, mutant: Planted) => string };

test.each(PLANTED)("planted bug: $name", (mutant) => {
  const source = readFileSync(join(root, mutant.file), "utf8");
  expect(patch(source, mutant)).not.toBe(source);
  expect(existsSync(join(root, mutant.test))).toBe(true);
});

test("a bug whose place is gone, or not the only one, is refused", () => {
  const mutant = { name: "it", file: "a.ts", from: "b", to: "c", test: "" };
  expect(patch("a b", mutant)).toBe("a c");
  expect(() => patch("a", mutant)).toThrow(/0 times in a.ts/);
  expect(() => patch("b b", mutant)).toThrow(/2 times in a.ts/);
});
