/** A member's files: read together, and not at all while one of them is missing, open to others or another cluster's. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { formatKeyring, newKeyring } from "../keyring/keyring.js";
import { Issuer } from "../testing/issued.js";
import { readSecurity, type SecurityPaths } from "./security-files.js";

const issuer = new Issuer(1_800_000_000_000);
const authority = await issuer.authority("iad");
const pair = await issuer.pair(authority, { node: "0a".repeat(16) });
const ring = newKeyring(new Uint8Array(32).fill(1));

let dir: string;
let paths: SecurityPaths;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-security-"));
  paths = { ca: join(dir, "ca"), cert: join(dir, "cert"), key: join(dir, "key"), keyring: join(dir, "keyring") };
  writeFileSync(paths.ca, authority.certificate);
  writeFileSync(paths.cert, pair.certificate);
  writeFileSync(paths.key, pair.key, { mode: 0o600 });
  writeFileSync(paths.keyring, formatKeyring(ring), { mode: 0o600 });
});
afterEach(() => rmSync(dir, { recursive: true }));

test("they are read as they were written; a secret that a group may read is one still", async () => {
  chmodSync(paths.key, 0o440);
  const { credentials, keyring } = await readSecurity(paths, "iad", "regional");
  expect([credentials.self.node, keyring]).toEqual(["0a".repeat(16), ring]);
});

test("they must be this cluster's and this tier's", async () => {
  await expect(readSecurity(paths, "fra", "regional")).rejects.toThrow("not a regional member of fra");
  await expect(readSecurity(paths, "iad", "global")).rejects.toThrow("not a global member of iad");
});

test.each([
  ["key", 0o604],
  ["key", 0o620],
  ["keyring", 0o644],
] as const)("a %s of mode %o is no secret", async (file, mode) => {
  chmodSync(paths[file], mode);
  await expect(readSecurity(paths, "iad", "regional")).rejects.toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining(`mode ${mode.toString(8)}`),
    hint: `chmod 600 ${paths[file]}`,
  });
});

test.each(["ca", "cert", "key", "keyring"] as const)("a %s that is not there is named", async (file) => {
  rmSync(paths[file]);
  await expect(readSecurity(paths, "iad", "regional")).rejects.toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining(paths[file]),
  });
});

test("a file too large to be one is not read", async () => {
  writeFileSync(paths.ca, Buffer.alloc((1 << 20) + 1));
  await expect(readSecurity(paths, "iad", "regional")).rejects.toThrow("1048577 bytes");
});
