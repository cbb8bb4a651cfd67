/** The UDP socket under membership, with its seal where there is one. It moves bytes and decides nothing. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { type Keyring, Sealer, type SealerOptions } from "@patina/security";
import { addressIn, listenError, parseAddress } from "./address.js";
import { systemNow } from "./clock.js";
import { Names } from "./names.js";

export interface DatagramEvents {
  readonly onDatagram: (from: string, bytes: Uint8Array) => void;
  /** It was not sealed by a member of this cluster, or not for the first time. */
  readonly onRefused: (from: string, reason: string) => void;
}

export class Datagrams {
  readonly #socket: Socket;
  readonly #events: DatagramEvents;
  readonly #sealer: Sealer | undefined;
  readonly #names: Names;
  #isClosed = false;
  #sending = 0;
  #onSent: (() => void) | undefined;

  private constructor(socket: Socket, names: Names, events: DatagramEvents, sealer: Sealer | undefined) {
    this.#socket = socket;
    this.#names = names;
    this.#events = events;
    this.#sealer = sealer;
    socket.on("message", (bytes, from) => this.#receive(nameOf(from), bytes));
    // A send to a port nobody has comes back as an error here. Membership finds out by silence, as on any network.
    socket.on("error", () => undefined);
  }

  /** Binds. Without `seal` it speaks plaintext. Throws `port-in-use` or `config-invalid`. */
  static async open(address: string, events: DatagramEvents, seal?: SealerOptions): Promise<Datagrams> {
    const { host, port } = parseAddress(address);
    const family = isIPv6(host) ? 6 : 4;
    const socket = createSocket(family === 6 ? "udp6" : "udp4");
    await new Promise<void>((resolve, reject) => {
      socket.once("error", (thrown) => reject(listenError(thrown, "gossip", address)));
      socket.bind(port, host, () => {
        socket.removeAllListeners("error");
        resolve();
      });
    });
    const names = new Names({ family, monotonicMs: () => systemNow().monotonicMs });
    return new Datagrams(socket, names, events, seal === undefined ? undefined : new Sealer(seal));
  }

  send(to: string, bytes: Uint8Array): void {
    const address = addressIn(to);
    if (address === undefined || address.port === 0) return; // Nobody is there, as at any address that nobody has.
    this.#names.resolve(address.host, (host) => this.#send(host, address.port, bytes));
  }

  #send(address: string, port: number, bytes: Uint8Array): void {
    if (this.#isClosed) return; // The name came too late.
    this.#sending++;
    this.#socket.send(this.#sealer?.seal(bytes) ?? bytes, port, address, () => {
      this.#sending--; // With an error or without: as above.
      if (this.#sending === 0) this.#onSent?.();
    });
  }

  replaceKeys(keyring: Keyring): void {
    this.#sealer?.replaceKeys(keyring);
  }

  /** What was given to it goes out first: the last thing a member says is that it leaves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#sending > 0) await new Promise<void>((resolve) => (this.#onSent = resolve));
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }

  #receive(from: string, packet: Uint8Array): void {
    const opened = this.#sealer?.open(packet, systemNow().wallMs) ?? { bytes: packet };
    if ("refused" in opened) this.#events.onRefused(from, opened.refused);
    else this.#events.onDatagram(from, opened.bytes);
  }
}

function nameOf({ address, family, port }: RemoteInfo): string {
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}
