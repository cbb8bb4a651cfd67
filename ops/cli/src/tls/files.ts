/**
 * Certificates and secrets: what a key has sealed outlives a loss of power, and so must the key. What is replaced stays
 * readable to whom it was: an agent runs as a user of its own, and finds its files by links.
 */
import { existsSync, lstatSync, mkdirSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { writeDurably } from "@patina/runtime";
import { note } from "../output.js";

const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;
/** What nobody but a secret's owner may do with it, unless it is its group, and reading. As agents see it. */
const TOO_OPEN = 0o027;

/** Readable by its owner only, from the first byte on; by its group, too, when that was so before. */
export function writeSecret(path: string, text: string): void {
  write(path, text, (before) => ((before & TOO_OPEN) === 0 ? before : SECRET_MODE), SECRET_MODE);
}

export function writePublic(path: string, text: string): void {
  write(path, text, (before) => before, PUBLIC_MODE);
}

function write(path: string, text: string, kept: (mode: number) => number, fresh: number): void {
  const target = targetOf(path);
  const before = statSync(target, { throwIfNoEntry: false });
  mkdirSync(dirname(target), { recursive: true });
  if (before === undefined) return writeDurably(target, text, fresh);
  replace(target, text, kept(before.mode & 0o777), before);
}

/** With the owner that it had; where this user may not give it away, whoever ran the command has to know. */
function replace(path: string, text: string, mode: number, { uid, gid }: Stats): void {
  try {
    writeDurably(path, text, mode, { uid, gid });
  } catch (thrown) {
    // The second is what a user namespace says that does not know the owner.
    if (!["EPERM", "EINVAL"].includes(String((thrown as NodeJS.ErrnoException).code))) throw thrown;
    writeDurably(path, text, mode);
    note(`${path} was of user ${uid} and group ${gid}, and now is yours: give it back, or its agent cannot read it`);
  }
}

/** Where a link leads, also while nothing is there. */
function targetOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  return isLink ? resolve(dirname(path), readlinkSync(path)) : path;
}
