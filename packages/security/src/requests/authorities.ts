/**
 * The authorities of other clusters, as PEM files in one directory: `iad.crt` has those of region iad, as that region's
 * `ca.crt` has them. Looked at again and again, so that a region joins by copying a file.
 */
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf } from "@patina/base";

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const SUFFIX = ".crt";
const FILES_MAX = 1000;
const FILE_BYTES_MAX = 1 << 20;

export type Authorities = ReadonlyMap<string, readonly X509Certificate[]>;

/** By region. Throws `config-invalid` naming the file that cannot be used. */
export async function readAuthorities(dir: string): Promise<Authorities> {
  const names = (await orInvalid(dir, readdir(dir))).filter((name) => name.endsWith(SUFFIX)).sort();
  if (names.length > FILES_MAX) throw new AppError("config-invalid", `${dir} has more than ${FILES_MAX} authorities`);
  const entries = await Promise.all(
    names.map(async (name) => [name.slice(0, -SUFFIX.length), await readCertificates(join(dir, name))] as const),
  );
  return new Map(entries);
}

async function readCertificates(path: string): Promise<X509Certificate[]> {
  const { size } = await orInvalid(path, stat(path));
  if (size > FILE_BYTES_MAX) throw new AppError("config-invalid", `${path} has ${size} bytes`);
  const text = await orInvalid(path, readFile(path, "utf8"));
  const certificates = await orInvalid(
    path,
    Promise.resolve().then(() => (text.match(BLOCK) ?? []).map((block) => new X509Certificate(block))),
  );
  if (certificates.some(({ ca }) => !ca))
    throw new AppError("config-invalid", `${path} has more than authorities in it`);
  return certificates;
}

async function orInvalid<T>(path: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw new AppError("config-invalid", `${path}: ${messageOf(cause)}`, {
      cause,
      hint: "Copy each region's ca.crt there, as <region>.crt.",
    });
  }
}
