/** Addresses on this machine that nobody uses. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { must } from "@patina/base";
import type { Places } from "@patina/scenarios";

/** A TCP port that was free a moment ago: whoever binds it must be ready to be told that it is not any more. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
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
