/**
 * A network of real interfaces: each member in a namespace of its own, all on one bridge. Faults are the kernel's: packets are
 * dropped by nft where they arrive, and rates are limited by tc where they leave.
 *
 *   this process 10.77.0.1 ── bridge ─┬─ link-0 ══ eth0 10.77.0.10   member 0
 *                                     ├─ link-1 ══ eth0 10.77.0.11   member 1
 */
import { mkdirSync } from "node:fs";
import { must } from "@patina/base";
import { run } from "./command.js";

const MEMBERS_MAX = 200;
const FIRST_HOST = 10;
const GOSSIP_PORT = 7946;
const API_PORT = 8080;
/** What may wait for a limited link: longer than that, packets are dropped, as by a router. */
const LIMIT_QUEUE_MS = 400;

export type Port = number;

export class Network {
  /** By member, what it drops of that which arrives. */
  readonly #drops: string[][];
  readonly #limited = new Set<Port>();

  /** Only within an enclosure: everything it makes is left to the kernel to take down. */
  constructor(members: number) {
    if (members > MEMBERS_MAX) throw new Error(`at most ${MEMBERS_MAX} members fit into the network`);
    this.#drops = Array.from({ length: members }, () => []);
    run("mount", ["-t", "tmpfs", "none", "/run"]); // `ip netns` keeps its names there.
    mkdirSync("/run/netns");
    const hub = ["link set lo up", "link add hub type bridge", "addr add 10.77.0.1/24 dev hub", "link set hub up"];
    run("ip", ["-batch", "-"], lines(hub));
    for (const port of this.#drops.keys()) addMember(port);
  }

  gossipOf(port: Port): string {
    return `${hostOf(port)}:${GOSSIP_PORT}`;
  }

  apiOf(port: Port): string {
    return `${hostOf(port)}:${API_PORT}`;
  }

  /** The command that runs a program where a member lives. */
  within(port: Port): [string, ...string[]] {
    return ["nsenter", `--net=/run/netns/${nameOf(port)}`];
  }

  /** What these say no longer reaches those. The other way is open, as far as it is not cut, too. */
  cut(from: readonly Port[], to: readonly Port[]): void {
    const hosts = from.map((port) => hostOf(port)).join(", ");
    for (const port of to) this.#drop(port, `ip saddr { ${hosts} } drop`);
  }

  /** So many datagrams of a hundred do not arrive at any member. */
  loseDatagrams(percent: number): void {
    for (const port of this.#drops.keys()) {
      this.#drop(port, `meta l4proto udp numgen random mod 100 < ${percent} drop`);
    }
  }

  /** Everything arrives again, and as fast as it can. */
  heal(): void {
    for (const [port, drops] of this.#drops.entries()) if (drops.splice(0).length > 0) this.#filter(port);
    for (const port of this.#limited) for (const [device, ...at] of ends(port)) run("tc", [...at, "qdisc", "del", "dev", device, "root"]); // prettier-ignore
    this.#limited.clear();
  }

  /** So many bits a second to a member and from it, as tc writes them: `1mbit`. */
  limit(port: Port, rate: string): void {
    const bucket = ["rate", rate, "burst", "16kb", "latency", `${LIMIT_QUEUE_MS}ms`];
    for (const [device, ...at] of ends(port)) run("tc", [...at, "qdisc", "add", "dev", device, "root", "tbf", ...bucket]); // prettier-ignore
    this.#limited.add(port);
  }

  #drop(port: Port, rule: string): void {
    must(this.#drops[port], "a member of this network").push(rule);
    this.#filter(port);
  }

  #filter(port: Port): void {
    const [program, ...args] = [...this.within(port), "nft", "-f", "-"] as const;
    const chain = ["chain arriving {", "type filter hook input priority 0", ...(this.#drops[port] ?? []), "}"];
    run(
      program,
      args,
      lines(["add table inet faults", "delete table inet faults", "table inet faults {", ...chain, "}"]),
    );
  }
}

function addMember(port: Port): void {
  const [name, link] = [nameOf(port), linkOf(port)];
  run("ip", ["netns", "add", name]);
  run("ip", ["-batch", "-"], lines([`link add ${link} type veth peer name eth0 netns ${name}`, `link set ${link} master hub up`])); // prettier-ignore
  const host = `addr add ${hostOf(port)}/24 dev eth0`;
  run("ip", ["-n", name, "-batch", "-"], lines(["link set lo up", host, "link set eth0 up"]));
}

/** Both ends of a member's link: what leaves the one arrives at the other. */
function ends(port: Port): [device: string, ...at: string[]][] {
  return [["eth0", "-n", nameOf(port)], [linkOf(port)]];
}

function hostOf(port: Port): string {
  return `10.77.0.${FIRST_HOST + port}`;
}

function nameOf(port: Port): string {
  return `member-${port}`;
}

function linkOf(port: Port): string {
  return `link-${port}`;
}

function lines(of: readonly string[]): string {
  return `${of.join("\n")}\n`;
}
