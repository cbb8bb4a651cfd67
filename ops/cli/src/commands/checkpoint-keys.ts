/** `patina checkpoint keygen` and `rotate-key`: the key of a store that is signed or encrypted. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { AppError, must } from "@patina/base";
import {
  isRotated,
  type KeyRing,
  newKeyRing,
  openObjectStore,
  readKeyRing,
  retireOldKeys,
  rewrapStoreKey,
  withNewKey,
} from "@patina/checkpoint";
import { newBytes } from "@patina/runtime";
import { note } from "../output.js";
import { writeSecret } from "../tls/files.js";

export function addCheckpointKeys(checkpoint: Command): void {
  checkpoint
    .command("keygen")
    .description("make the key file of a new store")
    .argument("<file>")
    .option("--encrypt", "seal everything; without it records are signed and data lies open")
    .action(keygen);
  checkpoint
    .command("rotate-key")
    .description("put a new key into a key file, and have the store open with it, too")
    .argument("<url>", "the store")
    .requiredOption("--key-file <file>", "its key file, which gets the new key")
    .option("--retire", "make no new key: forget the old ones, here and in the store")
    .action(rotate);
}

function keygen(file: string, { encrypt }: { encrypt?: boolean }): void {
  if (existsSync(file)) {
    throw new AppError("bad-request", `${file} exists, and what it opens would be lost with it`, {
      hint: "Name another file, or `patina checkpoint rotate-key` to replace its key.",
    });
  }
  write(file, newKeyRing(encrypt === true ? "encrypted" : "signed", newBytes));
  note(`${file} is the only way to open what is written with it: keep a copy where the store is not.`);
}

/**
 * The file is written before the store, because it opens both. A run that was killed between the two is finished by the
 * next, which makes no other key.
 */
async function rotate(url: string, options: { keyFile: string; retire?: boolean }): Promise<void> {
  const { keyFile, retire = false } = options;
  const objects = openObjectStore(url);
  const ring = await readKeyRing(keyFile);
  const isFinished = await isRotated(objects, ring);
  if (retire) {
    if (!isFinished) throw unfinished(url, keyFile);
    write(keyFile, { ...ring, keys: [must(ring.keys[0], "a current key")] });
    await retireOldKeys(objects);
    note(`${url} opens with key ${ring.keys[0]?.id} alone.`);
    return;
  }
  const next = isFinished ? withNewKey(ring, newBytes) : ring;
  write(keyFile, next);
  await rewrapStoreKey(objects, next, newBytes);
  note(`${url} opens with key ${next.keys[0]?.id}, too: copy ${keyFile} to every agent, then rotate-key --retire.`);
}

function unfinished(url: string, keyFile: string): AppError {
  return new AppError("sealing-mismatch", `${url} does not open with the current key of ${keyFile} yet`, {
    hint: "Run rotate-key without --retire first.",
  });
}

function write(file: string, ring: KeyRing): void {
  writeSecret(file, `${JSON.stringify(ring, undefined, 2)}\n`);
}
