/** A certificate or key that is replaced: its agent can read the new one as it could the old. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writePublic, writeSecret } from "./files.js";

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-files-"));
  path = join(dir, "member.key");
});
afterEach(() => rmSync(dir, { recursive: true }));

const modeOf = (file: string): number => statSync(file).mode & 0o777;

test.each([
  [undefined, 0o600, 0o644],
  [0o640, 0o640, 0o640],
  [0o400, 0o400, 0o400],
  [0o644, 0o600, 0o644],
] as const)("of mode %o is written as a secret of %o, and in public of %o", (before, secret, open) => {
  for (const [write, after] of [
    [writeSecret, secret],
    [writePublic, open],
  ] as const) {
    rmSync(path, { force: true });
    if (before !== undefined) writeFileSync(path, "old");
    if (before !== undefined) chmodSync(path, before);
    write(path, "new");
    expect([modeOf(path), readFileSync(path, "utf8")]).toEqual([after, "new"]);
  }
});

test.skipIf(process.getuid?.() !== 0)("stays its user's when an administrator writes it", () => {
  writeFileSync(path, "old", { mode: 0o600 });
  chownSync(path, 12_345, 23_456);
  writeSecret(path, "new");
  expect([statSync(path).uid, statSync(path).gid, modeOf(path)]).toEqual([12_345, 23_456, 0o600]);
});

test("is written where its link leads, also when nothing is there yet", () => {
  const target = join(dir, "shared.key");
  symlinkSync("shared.key", path);
  for (const text of ["first", "second"]) {
    writeSecret(path, text);
    expect([readFileSync(target, "utf8"), lstatSync(path).isSymbolicLink(), lstatSync(target).isFile()]).toEqual([
      text,
      true,
      true,
    ]);
  }
});
