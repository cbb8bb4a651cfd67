/** `host:port`, as people write it. */
import { AppError } from "@patina/base";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Throws `config-invalid` for anything but a host and a port. `[::1]:80` is how IPv6 is written. */
export function parseAddress(text: string): Address {
  const address = addressIn(text);
  if (address !== undefined) return address;
  throw new AppError("config-invalid", `${JSON.stringify(text)} is not an address`, {
    hint: "Write it as host:port.",
  });
}

/** The same of what others have said: undefined for anything but a host and a port. */
export function addressIn(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** The error of a listener that could not have its address, in words that name it. */
export function listenError(thrown: NodeJS.ErrnoException, what: string, address: string): AppError {
  if (thrown.code === "EADDRINUSE") {
    return new AppError("port-in-use", `${what} cannot listen on ${address}: the port is in use`, {
      cause: thrown,
      hint: "Stop what uses it (`ss -ltnup` shows it), or configure another port.",
    });
  }
  return new AppError("config-invalid", `${what} cannot listen on ${address}: ${thrown.message}`, {
    cause: thrown,
    hint: "Use an address of this machine.",
  });
}
