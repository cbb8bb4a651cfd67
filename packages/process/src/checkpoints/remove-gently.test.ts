/** A large file goes step by step, a small one at once, and one that is not there does no harm. */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { removeGently, STEP_BYTES } from "./remove-gently.js";

const dir = mkdtempSync(join(tmpdir(), "patina-remove-"));
afterAll(() => rmSync(dir, { recursive: true }));

test.each([0, 1, STEP_BYTES, STEP_BYTES + 1, 2.5 * STEP_BYTES])(
  "of %i bytes one step at most is left to the end",
  async (bytes) => {
    const path = join(dir, `file-${bytes}`);
    writeFileSync(path, "");
    truncateSync(path, bytes);
    const held = openSync(path, "r"); // As long as it is held, it says how long it was when its name went.
    try {
      await removeGently(path);
      expect(existsSync(path)).toBe(false);
      expect(fstatSync(held).size).toBe(bytes <= STEP_BYTES ? bytes : bytes % STEP_BYTES);
    } finally {
      closeSync(held);
    }
  },
);

test("without such a file nothing is done", async () => {
  writeFileSync(join(dir, "other"), "");
  await removeGently(join(dir, "none"));
  expect(readdirSync(dir)).toEqual(["other"]);
});
