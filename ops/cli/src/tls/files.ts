/** Certificates and secrets: what a key has sealed outlives a loss of power, and so must the key. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { writeDurably } from "@patina/runtime";

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
  writeDurably(path, text, mode);
}
