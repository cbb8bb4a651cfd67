/** Certificates: what a name must look like to count, and which files do not go together. */
import { KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { HOUR_MS, Issuer } from "../testing/issued.js";
import { openAuthority } from "./authority.js";
import { expiryOf, parseCredentials } from "./credentials.js";
import { authorityClusterOf, memberNameOf } from "./member-name.js";

const NOW = 1_800_000_000_000;
const NODE = "0a".repeat(16);
const issuer = new Issuer(NOW);
const authority = await issuer.authority("iad");
const pair = await issuer.pair(authority, { node: NODE, role: "global" });
const ca = authority.certificate;

describe("a member's name", () => {
  const named = (subjectAltName: string | undefined) => memberNameOf({ subjectAltName, ca: false } as X509Certificate);
  const uri = `URI:patina://iad/regional/${NODE}`;

  test("is read from a certificate as it was issued, and an authority is no member", () => {
    const certificate = new X509Certificate(pair.certificate);
    expect(memberNameOf(certificate)).toEqual({ cluster: "iad", role: "global", node: NODE });
    expect(authorityClusterOf(certificate)).toBeUndefined();
    expect(memberNameOf(new X509Certificate(ca))).toBeUndefined();
    expect(authorityClusterOf(new X509Certificate(ca))).toBe("iad");
    expect([expiryOf(certificate), certificate.ca]).toEqual([NOW + HOUR_MS, false]);
  });

  test("may stand beside other names", () => {
    expect(named(`DNS:worker-1, ${uri}, IP Address:10.0.0.1`)).toMatchObject({ cluster: "iad", node: NODE });
  });

  test.each([
    ["nothing", undefined],
    ["another scheme", `URI:spiffe://iad/regional/${NODE}`],
    ["two members", `${uri}, URI:patina://fra/regional/${NODE}`],
    ["a role there is not", `URI:patina://iad/admin/${NODE}`],
    ["a node that is none", "URI:patina://iad/regional/worker-1"],
    ["more than a member", `${uri}/more`],
    ["a name with a comma in it, which looks like two", `DNS:"x, ${uri}, y"`],
  ])("is not %s", (_what, names) => {
    expect(named(names)).toBeUndefined();
  });
});

describe("credentials", () => {
  test("say whose they are and how long they last, expired or not", async () => {
    const self = { cluster: "iad", role: "global", node: NODE };
    const authorityExpiresMs = NOW + 24 * HOUR_MS;
    expect(parseCredentials({ ca, ...pair })).toMatchObject({ self, expiresMs: NOW + HOUR_MS, authorityExpiresMs });
    const expired = await issuer.pair(authority, { node: NODE, forMs: -HOUR_MS });
    expect(parseCredentials({ ca, ...expired }).expiresMs).toBe(NOW - HOUR_MS);
  });

  test("that do not go together are refused, each with its key in the configuration", async () => {
    const other = await issuer.pair(authority, { node: NODE });
    const impostor = await issuer.authority("iad");
    const cases: [string, Parameters<typeof parseCredentials>[0]][] = [
      ["gossip.tls.ca: it holds no certificate", { ...pair, ca: "" }],
      ["gossip.tls.cert: it holds no certificate", { ...pair, ca, certificate: pair.key }],
      ["gossip.tls.key: it is not the key", { ...pair, ca, key: other.key }],
      ["gossip.tls.key: ", { ...pair, ca, key: "no key" }],
      ["gossip.tls.cert: none of the authorities", { ...pair, ca: impostor.certificate }],
      ["gossip.tls.cert: it names no member", { ca, ...authority }],
    ];
    for (const [message, texts] of cases) {
      expect(() => parseCredentials(texts), message).toThrow(
        expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(message) }),
      );
    }
  });

  test("of another curve are refused: nothing could be signed with them", async () => {
    await import("reflect-metadata");
    const { SubjectAlternativeNameExtension, X509CertificateGenerator } = await import("@peculiar/x509");
    const signingAlgorithm = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-256" };
    const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
    const names = new SubjectAlternativeNameExtension([{ type: "url", value: `patina://iad/regional/${NODE}` }]);
    const made = await X509CertificateGenerator.createSelfSigned({ keys, signingAlgorithm, extensions: [names] });
    const certificate = made.toString("pem");
    const key = KeyObject.from(keys.privateKey).export({ format: "pem", type: "pkcs8" }).toString();
    expect(() => parseCredentials({ ca: certificate, certificate, key })).toThrow(
      expect.objectContaining({ code: "config-invalid", message: expect.stringContaining("P-256") }),
    );
  });

  test("an authority is opened with its own key, and a member is none", () => {
    expect(openAuthority(authority, "here").cluster).toBe("iad");
    expect(() => openAuthority({ ...authority, key: pair.key }, "here")).toThrow("the key is not the certificate's");
    expect(() => openAuthority(pair, "here")).toThrow("here is not an authority of a cluster");
  });
});
