/** A copy that does not fit is not begun. */
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { assertRoom } from "./room.js";

test("what fits with the reserve is let through, and what would take the reserve is not", async () => {
  const { bavail, bsize } = await statfs(tmpdir());
  await assertRoom(tmpdir(), 0);
  await expect(assertRoom(tmpdir(), bavail * bsize)).rejects.toMatchObject({
    code: "disk-full",
    hint: expect.any(String),
  });
});
