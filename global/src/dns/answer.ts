/**
 * What a question in the DNS is answered with, from the same resolution as every other: found, absent and unknown are
 * addresses, NXDOMAIN and SERVFAIL. Names are
 *
 *   <app>.<domain>            the nearest region that has the app running, by what the router measured
 *   <app>.<region>.<domain>   that region
 *   ip-<hex>.<domain>         an address spelled out: what an SRV record points at
 *
 * DNS: RFC 1034 and 1035; SRV: RFC 2782; NXDOMAIN and how long it may be remembered: RFC 2308.
 */
import { isIP } from "node:net";
import type { InstanceRow, Placement, ResolveOptions } from "@patina/router";

export interface DnsConfig {
  /** Lower case, without a dot at the end. */
  readonly domain: string;
  /** How long an answer may be remembered, and how old a kept one may be. */
  readonly ttlSeconds: number;
  /** The column of an instance with its address, `HOST` or `HOST:PORT`. */
  readonly addressColumn: string;
  /** Instances whose columns say something else are left out; one without the column is not. */
  readonly only: Readonly<Record<string, string>>;
  /** Addresses in one answer. */
  readonly recordsMax: number;
}

export interface Endpoint {
  readonly host: string;
  readonly family: 4 | 6;
  /** 0 when its address names none: then it has no SRV record. */
  readonly port: number;
}

/** What a name asks for. */
export type Asked =
  | { readonly kind: "app"; readonly app: string; readonly region: string | undefined }
  | { readonly kind: "address"; readonly endpoint: Endpoint }
  /** The domain itself. */
  | { readonly kind: "apex" }
  | { readonly kind: "nothing" }
  /** Not of this domain. */
  | { readonly kind: "foreign" };

/** Case does not count in the DNS. */
export function parseName(name: string, domain: string): Asked {
  const lower = name.toLowerCase().replace(/\.$/, "");
  if (lower === domain) return { kind: "apex" };
  if (!lower.endsWith(`.${domain}`)) return { kind: "foreign" };
  const labels = lower.slice(0, -domain.length - 1).split(".");
  while (labels.length > 1 && labels[0]?.startsWith("_") === true) labels.shift(); // `_http._tcp.` of an SRV question.
  const [app = "", region, ...more] = labels;
  if (more.length > 0 || app === "") return { kind: "nothing" };
  const spelled = region === undefined ? endpointOf(app) : undefined;
  return spelled === undefined ? { kind: "app", app, region } : { kind: "address", endpoint: spelled };
}

/** The name of an address, for an SRV record to point at. */
export function nameOfAddress({ host, family }: Endpoint, domain: string): string {
  const bytes = family === 4 ? host.split(".").map(Number) : bytesOfV6(host);
  return `ip-${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}.${domain}`;
}

export function optionsFor(
  { region }: { readonly region: string | undefined },
  { ttlSeconds }: DnsConfig,
): ResolveOptions {
  return { maxAgeMs: ttlSeconds * 1000, ...(region === undefined ? {} : { regions: [region] }) };
}

/** The endpoints of the first region that has some; none when it has instances without an address. */
export function endpointsOf({ regions }: Placement, config: DnsConfig): readonly Endpoint[] {
  for (const { instances } of regions) {
    const endpoints = instances
      .filter((row) =>
        Object.entries(config.only).every(([column, value]) => !(column in row) || row[column] === value),
      )
      .flatMap((row) => endpointIn(row, config) ?? []);
    if (endpoints.length > 0) return endpoints.slice(0, config.recordsMax);
  }
  return [];
}

function endpointIn(row: InstanceRow, { addressColumn }: DnsConfig): Endpoint | undefined {
  const text = row[addressColumn];
  if (typeof text !== "string") return undefined;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [
    undefined,
    undefined,
    text,
  ];
  const host = bracketed ?? plain ?? text;
  const family = isIP(host);
  if (family !== 4 && family !== 6) return undefined;
  return { host, family, port: Math.min(65_535, Number(port ?? 0)) };
}

function endpointOf(label: string): Endpoint | undefined {
  const [, hex] = /^ip-((?:[0-9a-f]{8})|(?:[0-9a-f]{32}))$/.exec(label) ?? [];
  if (hex === undefined) return undefined;
  const groups = hex.match(hex.length === 8 ? /../g : /..../g) ?? [];
  if (hex.length === 32) return { host: groups.join(":"), family: 6, port: 0 };
  return { host: groups.map((byte) => Number.parseInt(byte, 16)).join("."), family: 4, port: 0 };
}

/** Of an address that `isIP` has accepted. */
function bytesOfV6(host: string): number[] {
  const [head = "", tail] = host.toLowerCase().replace(/%.*$/, "").split("::");
  const groupsOf = (part: string): number[] => (part === "" ? [] : part.split(":").flatMap(wordsOf));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = Array<number>(tail === undefined ? 0 : 8 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after].flatMap((word) => [word >> 8, word & 255]);
}

/** A group of hexadecimal digits, or an IPv4 address at the end. */
function wordsOf(group: string): number[] {
  if (!group.includes(".")) return [Number.parseInt(group, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}
