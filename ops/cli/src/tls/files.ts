/** Writes certificates and secrets so that an agent that reads them meanwhile, or a start after a loss of power, sees the old or the new. */
import { closeSync, fchmodSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
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
  const file = openSync(aside, "w", mode);
  try {
    fchmodSync(file, mode); // A file left over from a run that was killed keeps the mode that it had.
    writeFileSync(file, text);
    fsyncSync(file); // What a key has sealed outlives a loss of power, and so must the key.
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
