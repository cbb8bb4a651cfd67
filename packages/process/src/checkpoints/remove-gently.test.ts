/** A large file goes whole, and one that is not there does no harm. */
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { removeGently } from "./remove-gently.js";

const dir = mkdtempSync(join(tmpdir(), "patina-remove-"));
afterAll(() => rmSync(dir, { recursive: true }));

test.each([0, 1, 16 << 20, (40 << 20) + 1])("a file of %i bytes", async (bytes) => {
  const path = join(dir, `file-${bytes}`);
  writeFileSync(path, "");
  truncateSync(path, bytes);
  await removeGently(path);
  expect(existsSync(path)).toBe(false);
});

test("a file that is not there", async () => {
  await expect(removeGently(join(dir, "none"))).resolves.toBeUndefined();
});
