/** An agent's certificates and keys while it runs: what is taken of new files, and what is said of old ones. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Now } from "@patina/base";
import { formatKeyring, type KeyPair, newKeyring, readSecurity, type SecurityPaths } from "@patina/security";
import { HOUR_MS, Issuer } from "@patina/security/testing";
import type { Logger } from "@patina/telemetry";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SecurityWatch } from "./security-watch.js";

const NODE = "0a".repeat(16);
const WALL = 1_800_000_000_000;
const DAY_MS = 24 * HOUR_MS;
const issuer = new Issuer(WALL);
const authority = await issuer.authority("iad", 400 * DAY_MS);
const pair = (inMs: number, forMs: number): Promise<KeyPair> => issuer.pair(authority, { node: NODE, inMs, forMs });
const good = await pair(-HOUR_MS, 60 * DAY_MS);

let dir: string;
let paths: SecurityPaths;
let now: Now;
let told: string[];
let expiries: number[];
let watch: SecurityWatch;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "patina-watch-"));
  paths = { ca: join(dir, "ca"), cert: join(dir, "cert"), key: join(dir, "key"), keyring: join(dir, "keyring") };
  writeFileSync(paths.ca, authority.certificate);
  writeFileSync(paths.keyring, formatKeyring(newKeyring(new Uint8Array(32).fill(1))), { mode: 0o600 });
  now = { monotonicMs: 0, wallMs: WALL };
  [told, expiries] = [[], []];
});
afterEach(() => {
  watch.close();
  rmSync(dir, { recursive: true });
});

function put({ certificate, key }: KeyPair): void {
  writeFileSync(paths.key, key, { mode: 0o600 });
  writeFileSync(paths.cert, certificate);
}

async function start(with_: KeyPair = good): Promise<void> {
  put(with_);
  const log = Object.fromEntries(
    ["info", "warn", "error"].map((level) => [
      level,
      (fields: { readonly problem?: string }, what: string) => told.push(`${level} ${what} ${fields.problem ?? ""}`),
    ]),
  ) as unknown as Logger;
  watch = new SecurityWatch({
    paths,
    cluster: "iad",
    role: "regional",
    node: NODE,
    security: await readSecurity(paths, "iad", "regional"),
    log,
    now: () => now,
    onReplaced: ({ credentials }) => expiries.push(credentials.expiresMs - WALL),
  });
}

/** What is said meanwhile. */
async function after(ms: number, wallMs = now.wallMs + ms): Promise<string[]> {
  now = { monotonicMs: now.monotonicMs + ms, wallMs };
  await watch.look();
  return told.splice(0);
}

describe("a certificate", () => {
  test("that is not valid yet takes the place of a good one only once it is", async () => {
    await start();
    put(await pair(2 * HOUR_MS, 90 * DAY_MS));
    expect(await after(1)).toEqual([
      expect.stringContaining("not taken while the present one is good: it is not valid"),
    ]);
    expect([await after(1), watch.status().areFilesGood, expiries]).toEqual([[], false, []]);
    expect(await after(2 * HOUR_MS)).toEqual([expect.stringContaining("info security files replaced")]);
    expect([watch.status().areFilesGood, expiries]).toEqual([true, [90 * DAY_MS]]);
  });

  test("that has expired takes no good one's place, and one as bad only another's", async () => {
    await start();
    put(await pair(-2 * HOUR_MS, -HOUR_MS));
    expect(await after(1)).toEqual([expect.stringContaining("it has expired at")]);
    expect([watch.status().areFilesGood, expiries]).toEqual([false, []]);
    await after(61 * DAY_MS); // Neither is good now: the files decide.
    expect([watch.status().areFilesGood, expiries]).toEqual([true, [-HOUR_MS]]);
  });
});

describe("the end of a certificate", () => {
  const soon = expect.stringContaining("warn the certificate expires soon");
  const over = expect.stringContaining("error the certificate has expired");

  test("is told of once a day from thirty days before, and at once when it has come", async () => {
    await start();
    expect([await after(29 * DAY_MS), await after(2 * DAY_MS), await after(HOUR_MS)]).toEqual([[], [soon], []]);
    expect([await after(DAY_MS), await after(27.9 * DAY_MS)]).toEqual([[soon], [soon]]);
    expect(await after(0.1 * DAY_MS)).toEqual([over]);
    expect([await after(HOUR_MS), await after(DAY_MS)]).toEqual([[], [over]]);
  });

  test("is told of although the clock was ahead at the start", async () => {
    now = { monotonicMs: 0, wallMs: WALL + 730 * DAY_MS };
    await start();
    expect(told.splice(0)).toEqual([over, expect.stringContaining("error an authority has expired")]);
    expect([await after(1, WALL), await after(31 * DAY_MS), await after(30 * DAY_MS)]).toEqual([[], [soon], [over]]);
  });

  test("of an authority is told of beside the member's own", async () => {
    await start(await pair(-HOUR_MS, 380 * DAY_MS));
    const authoritySoon = expect.stringContaining("warn an authority expires soon");
    expect(await after(375 * DAY_MS)).toEqual([soon, authoritySoon]);
  });

  test("is not its beginning: one for later is told of as that", async () => {
    await start(await pair(HOUR_MS, 90 * DAY_MS));
    expect(told.splice(0)).toEqual([expect.stringContaining("error the certificate is not valid yet")]);
  });
});
