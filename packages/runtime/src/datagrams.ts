/** The UDP socket under membership. It moves bytes and decides nothing. */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { listenError, parseAddress } from "./address.js";

export type OnDatagram = (from: string, bytes: Uint8Array) => void;

export class Datagrams {
  readonly #socket: Socket;

  private constructor(socket: Socket, onDatagram: OnDatagram) {
    this.#socket = socket;
    socket.on("message", (bytes, from) => onDatagram(`${from.address}:${from.port}`, bytes));
    // A send to a port nobody has comes back as an error here. Membership finds out by silence, as on any network.
    socket.on("error", () => undefined);
  }

  /** Binds. Throws `port-in-use` or `config-invalid`. */
  static async open(address: string, onDatagram: OnDatagram): Promise<Datagrams> {
    const { host, port } = parseAddress(address);
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", (thrown) => reject(listenError(thrown, "gossip", address)));
      socket.bind(port, host, () => {
        socket.removeAllListeners("error");
        resolve();
      });
    });
    return new Datagrams(socket, onDatagram);
  }

  send(to: string, bytes: Uint8Array): void {
    const { host, port } = parseAddress(to);
    this.#socket.send(bytes, port, host, () => undefined); // As above.
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}
