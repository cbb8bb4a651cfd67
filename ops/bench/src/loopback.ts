/** Addresses on this machine that nobody uses. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** A TCP port that was free a moment ago: whoever binds it must be ready to be told that it is not any more. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
