/** Room for a copy beside live data: one that filled the disk would stop the agent whose data it is. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "@patina/base";
import { exists } from "./durable-file.js";

/** Left to the database and its log, which grow meanwhile. */
const RESERVE_BYTES = 64 << 20;

/** Throws `disk-full` unless the file system of `directory`, which need not be there yet, has room for so many bytes more, and a reserve. */
export async function assertRoom(directory: string, bytes: number): Promise<void> {
  if (!(await exists(directory))) return assertRoom(dirname(directory), bytes);
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes + RESERVE_BYTES) return;
  const [needed, there] = [bytes + RESERVE_BYTES, free].map((it) => Math.ceil(it / 2 ** 20));
  throw new AppError("disk-full", `a copy needs ${needed} MiB beside ${directory}, and ${there} are free`, {
    hint: "Free space there. Checkpoints can as well be taken and proved by a member with more of it.",
  });
}
