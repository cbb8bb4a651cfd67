/** Whose authorities a global agent starts with. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Issuer } from "@patina/security/testing";
import type { Logger } from "@patina/telemetry";
import { Borders } from "./borders.js";

const authority = await new Issuer(1_800_000_000_000).authority("iad");
let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "patina-borders-"))));
afterEach(() => rmSync(dir, { recursive: true }));

async function open(): Promise<{ readonly regions: readonly string[]; readonly errors: unknown[] }> {
  const errors: unknown[] = [];
  const log = { error: (fields: unknown) => errors.push(fields), warn: () => undefined } as unknown as Logger;
  const borders = await Borders.open({ authorities: dir, isInsecure: false, log });
  borders.close();
  expect(borders.regions.every((region) => borders.mayPublish(region)) && !borders.mayPublish("syd")).toBe(true);
  return { regions: borders.regions, errors };
}

test("a start with one bad file is without that region alone, and says which", async () => {
  writeFileSync(join(dir, "iad.crt"), authority.certificate);
  writeFileSync(join(dir, "fra.crt"), "");
  const { regions, errors } = await open();
  expect(regions).toEqual(["iad"]);
  expect(errors).toEqual([{ region: "fra", problem: expect.stringContaining("fra.crt holds no whole certificate") }]);
});

test("a start with nothing but bad files is refused", async () => {
  writeFileSync(join(dir, "fra.crt"), authority.certificate);
  await expect(open()).rejects.toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining("not of fra"),
  });
});

test("a start with no file waits for the first", async () => {
  expect(await open()).toEqual({ regions: [], errors: [] });
});
