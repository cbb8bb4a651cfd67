/** Signed requests: what a region's member can say, and nobody else. */
import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { HOUR_MS, Issuer } from "../testing/issued.js";
import { type SignedRequest, signRequest, verifyRequest } from "./signed-request.js";

const NOW = 1_800_000_000_000;
const NODE = "0a".repeat(16);
const issuer = new Issuer(NOW);
const iad = await issuer.authority("iad");
const fra = await issuer.authority("fra");
const member = await issuer.pair(iad, { node: NODE });
const body = new TextEncoder().encode('{"rows": []}');
const request: SignedRequest = { method: "POST", path: "/v1/placements", body };
const known = new Map([
  ["iad", [new X509Certificate(iad.certificate)]],
  ["fra", [new X509Certificate(fra.certificate)]],
]);
const verify = (header: string | undefined, what = request, nowMs = NOW) => {
  return verifyRequest(header, what, (region) => known.get(region) ?? [], nowMs);
};
const signed = await signRequest(member, request, NOW);

describe("a signed request", () => {
  test("names the region and the node whose certificate signed it, and when", async () => {
    expect(await verify(signed)).toEqual({ region: "iad", node: NODE, atMs: NOW });
  });

  test.each([
    ["another body", { ...request, body: new TextEncoder().encode('{"rows": [1]}') }],
    ["another path", { ...request, path: "/v1/regions/iad" }],
    ["another method", { ...request, method: "PUT" }],
  ])("is not good for %s", async (_what, other) => {
    expect(await verify(signed, other)).toMatchObject({ refused: expect.stringContaining("another") });
  });

  test("is good for a minute, whichever clock is wrong", async () => {
    expect(await verify(signed, request, NOW + 60_000)).toMatchObject({ region: "iad" });
    expect(await verify(signed, request, NOW + 60_001)).toMatchObject({ refused: expect.stringContaining("clock") });
    expect(await verify(signed, request, NOW - 60_001)).toMatchObject({ refused: expect.stringContaining("clock") });
  });

  test("is refused of a region that nobody knows, or whose name another authority used", async () => {
    const syd = await issuer.pair(await issuer.authority("syd"), { node: NODE });
    const impostor = await issuer.pair(await issuer.authority("iad"), { node: NODE });
    for (const pair of [syd, impostor]) {
      const refused = { refused: expect.stringContaining("no authority that is known") };
      expect(await verify(await signRequest(pair, request, NOW))).toMatchObject(refused);
    }
  });

  test("is refused of an expired certificate, of one that is not valid yet, and of a member that is not a region's", async () => {
    const expired = await issuer.pair(iad, { node: NODE, forMs: -HOUR_MS });
    expect(await verify(await signRequest(expired, request, NOW))).toMatchObject({
      refused: "its certificate has expired",
    });
    const early = await issuer.pair(iad, { node: NODE, inMs: HOUR_MS, forMs: 2 * HOUR_MS });
    expect(await verify(await signRequest(early, request, NOW))).toMatchObject({
      refused: expect.stringContaining("not valid yet"),
    });
    const global = await issuer.pair(iad, { node: NODE, role: "global" });
    expect(await verify(await signRequest(global, request, NOW))).toMatchObject({
      refused: expect.stringContaining("not one of a region's member"),
    });
  });

  test("is refused with another's certificate beside the signature, or any byte changed", async () => {
    const other = await issuer.pair(iad, { node: "0b".repeat(16) });
    const [, payload, signature] = (await signRequest(other, request, NOW)).split(".");
    const [header] = signed.split(".");
    expect(await verify([header, payload, signature].join("."))).toHaveProperty("refused");
    for (let at = "Patina ".length; at < signed.length - 1; at += 97) {
      const changed = signed.slice(0, at) + (signed[at] === "A" ? "B" : "A") + signed.slice(at + 1);
      expect(await verify(changed), `byte ${at}`).toHaveProperty("refused");
    }
  });

  test.each([undefined, "", "Bearer x", "Patina ", "Patina a.b.c", `Patina ${"x".repeat(10_000)}`])(
    "is not %s",
    async (header) => {
      expect(await verify(header)).toHaveProperty("refused");
    },
  );
});
