/**
 * The four files of a secured member. They are read together and checked against each other, because a renewal replaces
 * them one by one: what does not fit together yet is an error, and the caller keeps what it had.
 */
import { readFile, stat } from "node:fs/promises";
import { AppError, messageOf } from "@patina/base";
import { type Credentials, parseCredentials } from "../certificates/credentials.js";
import type { Role } from "../certificates/member-name.js";
import { type Keyring, parseKeyring } from "../keyring/keyring.js";

export interface SecurityPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly keyring: string;
}

/** Plain data: it may cross to another thread. */
export interface Security {
  readonly credentials: Credentials;
  readonly keyring: Keyring;
}

/** A file larger than this is not one of these. */
const FILE_BYTES_MAX = 1 << 20;
/** Written by the group, or anything by others. A group may read: that is how service managers hand secrets over. */
const TOO_OPEN = 0o027;

/** Throws `config-invalid`: cannot be read, open to others, not what it should be, or not this cluster's and role's. */
export async function readSecurity(paths: SecurityPaths, cluster: string, role: Role): Promise<Security> {
  const [ca, certificate, key, keyring] = await Promise.all([
    readText(paths.ca, "gossip.tls.ca"),
    readText(paths.cert, "gossip.tls.cert"),
    readSecret(paths.key, "gossip.tls.key"),
    readSecret(paths.keyring, "gossip.keyring"),
  ]);
  const credentials = parseCredentials({ ca, certificate, key });
  const { self } = credentials;
  if (self.cluster !== cluster || self.role !== role) {
    throw new AppError(
      "config-invalid",
      `gossip.tls.cert: ${paths.cert} is for a ${self.role} member of ${self.cluster}, not a ${role} member of ${cluster}`,
      { hint: "Issue one with the authority of this cluster: `patina tls issue`." },
    );
  }
  return { credentials, keyring: parseKeyring(keyring, paths.keyring) };
}

/** For whoever holds a secret's file, here or on the command line. Throws `config-invalid`. */
export async function readSecret(path: string, what: string): Promise<string> {
  const { mode } = await orInvalid(what, stat(path));
  if ((mode & TOO_OPEN) !== 0) {
    throw new AppError("config-invalid", `${what}: ${path} is open to others (mode ${(mode & 0o777).toString(8)})`, {
      hint: `chmod 600 ${path}`,
    });
  }
  return readText(path, what);
}

async function readText(path: string, what: string): Promise<string> {
  const { size } = await orInvalid(what, stat(path));
  if (size > FILE_BYTES_MAX) throw new AppError("config-invalid", `${what}: ${path} has ${size} bytes`);
  return orInvalid(what, readFile(path, "utf8"));
}

async function orInvalid<T>(what: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw new AppError("config-invalid", `${what}: ${messageOf(cause)}`, {
      cause,
      hint: "`patina tls issue` writes the files of a member.",
    });
  }
}
