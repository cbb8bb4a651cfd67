/** `patina tls` with what is not as it should be: it says what is wrong and what to do, and never goes on as if nothing were. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "@patina/security";
import { newNodeId, systemNow } from "@patina/runtime";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Ran, runPatina } from "../testing/fleet.js";
import { createAuthorityDir } from "./authority-dir.js";
import { memberPathsIn } from "./member-dir.js";

const DAY_MS = 86_400_000;
let dir: string;
let ca: string;
let out: string;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "patina-tls-"));
  [ca, out] = [join(dir, "ca"), join(dir, "out")];
  await createAuthorityDir(ca, { cluster: "ams", days: 30, replace: false });
});
afterEach(() => rmSync(dir, { recursive: true }));

const tls = async (...args: readonly string[]): Promise<Ran> => runPatina(["tls", ...args]);
const issue = async (...args: readonly string[]): Promise<Ran> => tls("issue", "--ca", ca, "--out", out, ...args);

interface Shown {
  readonly certificates: readonly { readonly valid_until: string; readonly fingerprint: string }[];
}
const shown = async (file: string): Promise<Shown> =>
  JSON.parse((await tls("show", file, "-o", "json")).stdout) as Shown;

test("a member is good for no longer than its authority, and the command says so", { timeout: 60_000 }, async () => {
  const { status, stderr } = await issue("--days", "365");
  const [authority] = (await shown(join(ca, "ca.crt"))).certificates;
  const [member] = (await shown(memberPathsIn(out).cert)).certificates;
  expect([status, member?.valid_until]).toEqual([0, authority?.valid_until]);
  expect(stderr).toContain(`good until ${member?.valid_until.slice(0, 10)}`);
  expect((await issue("--days", "7", "--renew")).stderr).not.toContain("good until");
});

test("an authority that has expired issues nothing", { timeout: 60_000 }, async () => {
  const untilMs = systemNow().wallMs - DAY_MS;
  const expired = await createAuthority("ams", { fromMs: untilMs - DAY_MS, untilMs }, newNodeId());
  writeFileSync(join(ca, "ca.crt"), expired.certificate);
  writeFileSync(join(ca, "ca.key"), expired.key);
  const { status, stderr } = await issue();
  expect([status, existsSync(out)]).toEqual([1, false]);
  expect(stderr).toMatch(/the authority has expired[^]*--replace/);
});

test("a data directory that is none is not taken for a new node", { timeout: 60_000 }, async () => {
  const { status, stderr } = await issue("--node-dir", join(dir, "typo"));
  expect([status, existsSync(out)]).toEqual([2, false]);
  expect(stderr).toContain("no agent has ever run there");
});

test("a damaged certificate is named, and is no fault of the command", { timeout: 60_000 }, async () => {
  await issue();
  const { cert } = memberPathsIn(out);
  writeFileSync(cert, readFileSync(cert, "utf8").replace(/MI.{30}/, "MI"));
  for (const { status, stderr } of [await tls("show", cert), await issue("--renew")]) {
    expect(status).toBe(1);
    expect(stderr).toContain(`${cert}: a certificate in it is damaged`);
    expect(stderr).not.toMatch(/internal|\n +at /);
  }
});

test(
  "an authority takes over from one whose key is lost, and only that of a certificate that is there is trusted on",
  { timeout: 60_000 },
  async () => {
    const [crt, key] = [join(ca, "ca.crt"), join(ca, "ca.key")];
    rmSync(key);
    expect((await issue()).stderr).toMatch(/ca.key is not there[^]*--replace/);
    const [old] = (await shown(crt)).certificates;
    const { status, stderr } = await tls("ca", ca, "--cluster", "ams", "--replace");
    expect([status, stderr.includes("trusts the old one too")]).toEqual([0, true]);
    expect((await shown(crt)).certificates[1]?.fingerprint).toBe(old?.fingerprint);
    expect((await issue()).status).toBe(0);
    renameSync(crt, `${crt}.lost`);
    const anew = await tls("ca", ca, "--cluster", "ams", "--replace");
    expect([anew.status, anew.stderr.includes("trusts the old one too")]).toEqual([0, false]);
    expect((await shown(crt)).certificates).toHaveLength(1);
  },
);
