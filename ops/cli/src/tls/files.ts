/** Writes certificates and secrets so that an agent that reads them meanwhile sees the old or the new, never half. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;

/** Readable by its owner only, from the first byte on. */
export function writeSecret(path: string, text: string): void {
  write(path, text, SECRET_MODE);
}

export function writePublic(path: string, text: string): void {
  write(path, text, PUBLIC_MODE);
}

function write(path: string, text: string, mode: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const aside = `${path}.new`;
  writeFileSync(aside, text, { mode });
  chmodSync(aside, mode); // A file left over from a run that was killed keeps the mode that it had.
  renameSync(aside, path);
}
