/** Directories that do not outlive the run, however it ends: by itself, by an error or by ^C. */
import { mkdtempSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const inUse = new Set<string>();

/** Gives `work` an empty directory on the disk that TMPDIR names, and removes it with all that is in it afterwards. */
export async function withScratch<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "patina-bench-"));
  inUse.add(dir);
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
    inUse.delete(dir);
  }
}

/** Removes at once what is still in use: for a run that is being killed. */
export function removeScratch(): void {
  for (const dir of inUse) rmSync(dir, { recursive: true, force: true });
}
