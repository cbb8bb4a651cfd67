/** Room for a copy beside live data: one that filled the disk would stop the agent whose data it is. */
import { statfs } from "node:fs/promises";
import { AppError } from "@patina/base";

/** Left to the database and its log, which grow meanwhile. */
const RESERVE_BYTES = 64 << 20;

/** Throws `disk-full` unless the file system of `directory` has room for so many bytes more, and a reserve. */
export async function assertRoom(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes + RESERVE_BYTES) return;
  const [needed, there] = [bytes + RESERVE_BYTES, free].map((it) => Math.ceil(it / 2 ** 20));
  throw new AppError("disk-full", `a copy needs ${needed} MiB beside ${directory}, and ${there} are free`, {
    hint: "Free space there, or let a member with more of it take and prove the checkpoints.",
  });
}
