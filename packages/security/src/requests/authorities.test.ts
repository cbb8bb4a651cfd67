/** The regions' authorities: file by file, so that a bad one holds up nothing of the others. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Issuer } from "../testing/issued.js";
import { readAuthorities } from "./authorities.js";

const issuer = new Issuer(1_800_000_000_000);
const [iad, fra, next] = [await issuer.authority("iad"), await issuer.authority("fra"), await issuer.authority("fra")];
const member = await issuer.pair(iad, { node: "0a".repeat(16) });

let dir: string;
const put = (region: string, text: string): void => writeFileSync(join(dir, `${region}.crt`), text);
const regions = (read: { readonly authorities: ReadonlyMap<string, unknown> }): string[] => [
  ...read.authorities.keys(),
];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-authorities-"));
  put("iad", iad.certificate);
  put("fra", fra.certificate + next.certificate);
});
afterEach(() => rmSync(dir, { recursive: true }));

test("a region has what is in its file, and none without one", async () => {
  const read = await readAuthorities(dir);
  expect([regions(read), read.problems.size]).toEqual([["fra", "iad"], 0]);
  expect(read.authorities.get("fra")).toHaveLength(2);
  rmSync(join(dir, "iad.crt"));
  expect(regions(await readAuthorities(dir, read.authorities))).toEqual(["fra"]);
});

const BAD: readonly [what: string, text: string, problem: string][] = [
  ["is empty", "", "holds no whole certificate"],
  ["is cut off", iad.certificate.slice(0, 200), "holds no whole certificate"],
  ["is cut off in its second certificate", iad.certificate.repeat(2).slice(0, -100), "is it being copied?"],
  ["is damaged", iad.certificate.replace(/MI.{30}/, "MI"), "iad.crt: "],
  ["has a member's certificate", iad.certificate + member.certificate, "more than authorities"],
  ["has another cluster's authority", fra.certificate, "an authority of fra, not of iad"],
];

test.each(BAD)(
  "a file that %s leaves its region as it was, and the others follow theirs",
  async (_what, text, problem) => {
    const before = (await readAuthorities(dir)).authorities;
    put("iad", text);
    put("syd", (await issuer.authority("syd")).certificate);
    rmSync(join(dir, "fra.crt"));
    const read = await readAuthorities(dir, before);
    expect(regions(read)).toEqual(["iad", "syd"]);
    expect(read.authorities.get("iad")).toBe(before.get("iad"));
    expect([...read.problems]).toEqual([["iad", expect.stringContaining(problem)]]);
    const first = await readAuthorities(dir); // At a start nothing was read before: that region alone has none.
    expect([regions(first), [...first.problems.keys()]]).toEqual([["syd"], ["iad"]]);
  },
);

test("a directory that cannot be read is named", async () => {
  const absent = join(dir, "absent");
  await expect(readAuthorities(absent)).rejects.toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining(absent),
    hint: expect.stringContaining("ca.crt"),
  });
});
