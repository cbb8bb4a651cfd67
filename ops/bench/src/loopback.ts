/** Addresses on this machine that nobody uses. */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { must } from "@patina/base";
import type { Places } from "@patina/scenarios";

/** From here the kernel takes ports for outgoing connections: one that was free a moment ago may be gone before it is bound. */
const EPHEMERAL_FROM = 32_768;
const PORTS_FROM = 10_000;
const TRIES_MAX = 100;

/** Nobody's a moment ago. */
export async function freePort(): Promise<number> {
  return freePorts(1);
}

/** The first of so many neighbours that were nobody's a moment ago: whoever binds them must be ready to be told that they are not. */
export async function freePorts(count: number): Promise<number> {
  for (let i = 0; i < TRIES_MAX; i++) {
    const first = randomInt(PORTS_FROM, EPHEMERAL_FROM - count);
    const free = await Promise.all(Array.from({ length: count }, (_, n) => isFree(first + n)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} neighbouring ports are free`);
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** For so many agents. */
export async function placesOnLoopback(size: number): Promise<Places> {
  const [gossip, api]: [string[], string[]] = [[], []];
  for (let i = 0; i < size; i++) {
    gossip.push(`127.0.0.1:${await freePort()}`);
    api.push(`127.0.0.1:${await freePort()}`);
  }
  return {
    gossipOf: (index) => must(gossip[index], "an address"),
    apiOf: (index) => must(api[index], "an address"),
    within: () => [],
  };
}
