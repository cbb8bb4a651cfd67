/** Names in the DNS, and what is answered from a placement. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { InstanceRow, Placement } from "@patina/router";
import { type DnsConfig, endpointsOf, nameOfAddress, parseName } from "./answer.js";

const config: DnsConfig = {
  domain: "apps.internal",
  ttlSeconds: 5,
  addressColumn: "address",
  only: { state: "started" },
  recordsMax: 2,
};
const placed = (...regions: readonly (readonly InstanceRow[])[]): Placement => ({
  app: "web",
  result: "found",
  complete: true,
  missing: [],
  regions: regions.map((instances, i) => {
    return { region: `r${i}`, class: "serving", grade: "live", ageMs: 0, source: "region", instances };
  }),
});
const started = (address: unknown): InstanceRow => ({ state: "started", address });

describe("a name", () => {
  test.each([
    ["web.apps.internal", { kind: "app", app: "web", region: undefined }],
    ["WEB.IAD.Apps.Internal.", { kind: "app", app: "web", region: "iad" }],
    ["_http._tcp.web.iad.apps.internal", { kind: "app", app: "web", region: "iad" }],
    ["apps.internal", { kind: "apex" }],
    ["a.b.c.apps.internal", { kind: "nothing" }],
    ["ip-0a010203.apps.internal", { kind: "address", endpoint: { host: "10.1.2.3", family: 4, port: 0 } }],
    ["ip-0a0102.apps.internal", { kind: "app", app: "ip-0a0102", region: undefined }],
    ["example.com", { kind: "foreign" }],
    ["notapps.internal", { kind: "foreign" }],
  ])("%s", (name, asked) => {
    expect(parseName(name, config.domain)).toEqual(asked);
  });

  test("of an address is that address again", () => {
    const property = fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (host) => {
      const family = host.includes(":") ? 6 : 4;
      const asked = parseName(nameOfAddress({ host, family, port: 0 }, config.domain), config.domain);
      if (asked.kind !== "address") throw new Error(`${host} became ${asked.kind}`);
      const same = (text: string): string => new URL(`http://${text.includes(":") ? `[${text}]` : text}`).host;
      expect(same(asked.endpoint.host)).toBe(same(host));
    });
    fc.assert(property);
  });
});

describe("the answer", () => {
  test("is the first region's that has something running, at most so many", () => {
    const stopped = [{ state: "stopped", address: "10.0.0.1:80" }];
    const running = ["10.0.0.2:80", "[fdaa::2]:81", "10.0.0.4"].map(started);
    expect(endpointsOf(placed(stopped, running, [started("10.0.0.9")]), config)).toEqual([
      { host: "10.0.0.2", family: 4, port: 80 },
      { host: "fdaa::2", family: 6, port: 81 },
    ]);
  });

  test.each(["", "worker-1:80", 7, null, "10.0.0", "[::1", "10.0.0.1:x"])(
    "has nothing of the address %j",
    (address) => {
      expect(endpointsOf(placed([started(address)]), config)).toEqual([]);
    },
  );

  test("takes an address without a port, and one of the sixth version without brackets", () => {
    const rows = [{ address: "10.0.0.1" }, { address: "fdaa::1" }];
    expect(endpointsOf(placed(rows), config).map(({ host, port }) => `${host} ${port}`)).toEqual([
      "10.0.0.1 0",
      "fdaa::1 0",
    ]);
  });
});
