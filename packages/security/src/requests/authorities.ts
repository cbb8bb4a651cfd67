/**
 * The authorities of other clusters, as PEM files in one directory: `iad.crt` has those of region iad, as that region's
 * `ca.crt` has them. Looked at again and again, so that a region joins by copying a file, and is out by removing it.
 *
 * Each file stands for itself: one that is half copied, or no authority's, holds up nothing of the others, and its region
 * goes on with what was read of it last.
 */
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf } from "@patina/base";
import { authorityClusterOf } from "../certificates/member-name.js";

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const BEGINNING = /-----BEGIN /g;
const SUFFIX = ".crt";
const FILES_MAX = 1000;
const FILE_BYTES_MAX = 1 << 20;

export type Authorities = ReadonlyMap<string, readonly X509Certificate[]>;

export interface ReadAuthorities {
  /** By region. */
  readonly authorities: Authorities;
  /** What is wrong with the file of a region, by region. */
  readonly problems: ReadonlyMap<string, string>;
}

/** A file that cannot be used leaves its region with what it has in `before`. Throws `config-invalid` for the directory. */
export async function readAuthorities(dir: string, before: Authorities = new Map()): Promise<ReadAuthorities> {
  const names = await namesIn(dir);
  const authorities = new Map<string, readonly X509Certificate[]>();
  const problems = new Map<string, string>();
  const read = await Promise.all(names.map(async (name) => [name, await readOne(dir, name)] as const));
  for (const [name, result] of read) {
    const region = regionOf(name);
    const known = typeof result === "string" ? before.get(region) : result;
    if (typeof result === "string") problems.set(region, result);
    if (known !== undefined) authorities.set(region, known);
  }
  return { authorities, problems };
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).filter((name) => name.endsWith(SUFFIX)).sort();
    if (names.length > FILES_MAX) throw new Error(`it has more than ${FILES_MAX} files`);
    return names;
  } catch (cause) {
    throw new AppError("config-invalid", `${dir}: ${messageOf(cause)}`, {
      cause,
      hint: "Copy each region's ca.crt there, as <region>.crt.",
    });
  }
}

/** What the file holds, or what is wrong with it. */
async function readOne(dir: string, name: string): Promise<X509Certificate[] | string> {
  const path = join(dir, name);
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) return `${path} has ${size} bytes`;
    const text = await readFile(path, "utf8");
    const certificates = (text.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
    const complaint = complaintOf(certificates, text.match(BEGINNING)?.length ?? 0, regionOf(name));
    return complaint === undefined ? certificates : `${path} ${complaint}`;
  } catch (thrown) {
    return `${path}: ${messageOf(thrown)}`;
  }
}

/** An authority of somebody's own making need not name its cluster; one that names another is in the wrong file. */
function complaintOf(certificates: readonly X509Certificate[], begun: number, region: string): string | undefined {
  if (certificates.length === 0) return "holds no whole certificate";
  if (certificates.length < begun) return "has more in it than whole certificates: is it being copied?";
  if (certificates.some(({ ca }) => !ca)) return "has more than authorities in it";
  const other = certificates.map(authorityClusterOf).find((cluster) => cluster !== undefined && cluster !== region);
  return other === undefined ? undefined : `has an authority of ${other}, not of ${region}`;
}

function regionOf(name: string): string {
  return name.slice(0, -SUFFIX.length);
}
