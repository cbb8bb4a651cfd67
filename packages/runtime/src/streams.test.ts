/** Streams on real sockets: members of one cluster find each other, and everybody else finds a closed door that says so. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectPlain, createServer } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { parseCredentials, type Credentials } from "@patina/security";
import { HOUR_MS, Issuer } from "@patina/security/testing";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { systemNow } from "./clock.js";
import { type Patience, Streams } from "./streams.js";

const idOf = (n: number): string => n.toString(16).padStart(32, "0");
const [ALICE, BOB, CAROL] = [idOf(1), idOf(2), idOf(3)];
const nowMs = systemNow().wallMs;
const issuer = new Issuer(nowMs);
const iad = await issuer.authority("iad");
const fra = await issuer.authority("fra");

/** One end, with everything that was told of it. */
class End {
  readonly told: string[] = [];
  readonly #streams: Streams;
  readonly address: string;
  #dialed = 0;

  private constructor(streams: Streams, told: string[], address: string) {
    this.#streams = streams;
    this.told = told;
    this.address = address;
  }

  static async open(credentials?: Credentials, patience?: Patience): Promise<End> {
    const told: string[] = [];
    for (let port = 24_000 + (process.pid % 500) * 8; ; port++) {
      const address = `127.0.0.1:${port}`;
      const events = {
        onOpened: (stream: string, direction: string, node = "0") => {
          told.push(`${direction} opened by ${node.slice(-1)}`);
          if (direction === "in") streams.send(stream, Buffer.from("hello"));
        },
        onFrame: (_stream: string, bytes: Uint8Array) => told.push(`frame ${Buffer.from(bytes).toString()}`),
        onFlushed: () => undefined,
        onClosed: () => told.push("closed"),
        onRefused: (_from: string, reason: string) => told.push(`refused: ${reason}`),
      };
      let streams: Streams;
      try {
        streams = await Streams.open(address, events, credentials, patience);
      } catch {
        continue; // Somebody has that port.
      }
      const end = new End(streams, told, address);
      ends.push(end);
      return end;
    }
  }

  dial(to: { readonly address: string }, node: string): void {
    this.#streams.dial(`out-${++this.#dialed}`, node, to.address);
  }

  hangUp(): void {
    this.#streams.close(`out-${this.#dialed}`);
  }

  replace(credentials: Credentials): void {
    this.#streams.replaceCredentials(credentials);
  }

  async stop(): Promise<void> {
    await this.#streams.stop();
  }
}

const ends: End[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end.stop();
});

const told = async (end: End, what: string): Promise<void> =>
  vi.waitFor(() => expect(end.told).toContain(what), { timeout: 5000, interval: 5 });
const nothingOpened = (...all: End[]): void => {
  expect(all.flatMap(({ told: it }) => it).filter((line) => line.includes("opened"))).toEqual([]);
};

let alice: Credentials;
let bob: Credentials;
beforeAll(async () => {
  alice = await issuer.credentials(iad, { node: ALICE });
  bob = await issuer.credentials(iad, { node: BOB });
});

test("an address that no URL can have is closed like one where nobody answers", async () => {
  const end = await End.open();
  for (const address of ["127.0.0.256:1", "[fe80::1%eth0]:7946", "host:70000", "a#b:1"]) end.dial({ address }, BOB);
  await vi.waitFor(() => expect(end.told).toEqual(["closed", "closed", "closed", "closed"]));
});

describe("between members of a cluster", () => {
  test("a stream opens, and both ends know who is at the other", async () => {
    const [a, b] = [await End.open(alice), await End.open(bob)];
    a.dial(b, BOB);
    await told(a, "frame hello");
    expect([a.told[0], b.told]).toEqual(["out opened by 2", ["in opened by 1"]]);
  });

  test("in plaintext it opens and proves nobody, if both ends are plaintext", async () => {
    const [a, b] = [await End.open(), await End.open()];
    a.dial(b, BOB);
    await told(a, "frame hello");
    expect(b.told).toEqual(["in opened by 0"]);
  });
});

describe("a peer that is out of reach, its stream still open", () => {
  const IMPATIENT = { askEveryMs: 20, unansweredMax: 3 };

  /** Takes a stream and never says anything on it: not even that it is closing. */
  async function mute(): Promise<{ address: string; close: () => void }> {
    const server = createServer((socket) => {
      socket.once("data", (request) => {
        const key = /sec-websocket-key: (\S+)/i.exec(request.toString())?.[1] ?? "";
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        const upgrade = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
        socket.write(`${upgrade.join("\r\n")}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      });
      socket.on("error", () => undefined);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
  }

  test("is found by its silence, and one that answers is not", async () => {
    const [a, b, silent] = [await End.open(undefined, IMPATIENT), await End.open(undefined, IMPATIENT), await mute()];
    a.dial(b, BOB);
    await told(a, "frame hello");
    const asked = a.told.length;
    a.dial(silent, CAROL);
    await told(a, "closed");
    expect(a.told.slice(asked)).toEqual(["out opened by 0", "closed"]);
    expect(b.told).not.toContain("closed");
    silent.close();
  });

  test("is let go of within a second or so, though it does not close", async () => {
    const [a, silent] = [await End.open(), await mute()];
    a.dial(silent, CAROL);
    await told(a, "out opened by 0");
    a.hangUp();
    await told(a, "closed");
    silent.close();
  });
});

describe("a certificate that opens nothing, at either end", () => {
  const both = async (mine: Credentials, why: string, theirs = bob): Promise<void> => {
    const [stranger, member] = [await End.open(mine), await End.open(theirs)];
    stranger.dial(member, BOB);
    await told(member, `refused: ${why}`);
    await told(stranger, "closed");
    member.dial(stranger, mine.self.node);
    await told(member, "closed");
    await vi.waitFor(() => expect(member.told.filter((line) => line === `refused: ${why}`)).toHaveLength(2));
    nothingOpened(stranger, member);
  };

  /** Trusts iad, so that it is the member's judgement alone that counts. */
  const trusting = (credentials: Credentials): Credentials => {
    return { ...credentials, ca: credentials.ca + iad.certificate };
  };

  test("another region's, by its authority", async () => {
    const stranger = trusting(await issuer.credentials(fra, { node: CAROL }));
    await both({ ...stranger, self: { ...stranger.self, cluster: "iad" } }, "untrusted");
  });

  test("another region's, although its authority is trusted", async () => {
    const stranger = trusting(await issuer.credentials(fra, { node: CAROL }));
    const friend = await issuer.credentials(iad, { node: BOB, alsoTrusts: [fra] });
    await both({ ...stranger, self: { ...stranger.self, cluster: "iad" } }, "foreign-member", friend);
  });

  test("another role's", async () => {
    const stranger = await issuer.credentials(iad, { node: CAROL, role: "global" });
    await both({ ...stranger, self: { ...stranger.self, role: "regional" } }, "foreign-member");
  });

  test("one of an authority that nobody has heard of, though it has the name of ours", async () => {
    const impostor = await issuer.authority("iad");
    await both(trusting(await issuer.credentials(impostor, { node: CAROL })), "untrusted");
  });

  test("one that has expired", async () => {
    await both(await issuer.credentials(iad, { node: CAROL, forMs: -HOUR_MS }), "expired");
  });

  test("one that is not valid yet", async () => {
    const early = await issuer.credentials(iad, { node: CAROL, inMs: HOUR_MS, forMs: 2 * HOUR_MS });
    await both(early, "not-yet-valid");
  });

  test("an authority's own", async () => {
    const { certificate, key } = iad;
    await both({ ...alice, ca: certificate, certificate, key }, "untrusted");
  });
});

test("another member than the one dialed is refused by who dials", async () => {
  const [a, b] = [await End.open(alice), await End.open(bob)];
  a.dial(b, CAROL);
  await told(a, "refused: wrong-node");
  await told(a, "closed");
  nothingOpened(a, b);
});

describe("a listener", () => {
  const knock = async (options: ConnectionOptions): Promise<string> => {
    const [host, port] = listener.address.split(":");
    const socket = connect({ host: host ?? "", port: Number(port), rejectUnauthorized: false, ...options });
    return new Promise((resolve) => {
      socket.on("error", ({ message }) => resolve(message));
      socket.on("close", () => resolve("closed"));
      socket.on("data", (data) => resolve(data.toString().split("\r\n", 1)[0] ?? ""));
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    });
  };
  const mine = () => ({ cert: alice.certificate, key: alice.key });

  let listener: End;
  const listen = async (): Promise<void> => void (listener = await End.open(bob));

  test("refuses who has no certificate, and one that has signed its own", async () => {
    await listen();
    await knock({});
    await told(listener, "refused: no-certificate");
    const self = await issuer.pair(await issuer.authority("iad"), { node: ALICE });
    await knock({ cert: self.certificate, key: self.key });
    await told(listener, "refused: untrusted");
    nothingOpened(listener);
  });

  test("refuses TLS 1.2", async () => {
    await listen();
    await knock({ ...mine(), maxVersion: "TLSv1.2" });
    await told(listener, "refused: old-tls");
  });

  test("refuses plaintext and noise", async () => {
    await listen();
    const plain = await End.open();
    plain.dial(listener, BOB);
    await told(listener, "refused: handshake-failed");
    const [host = "", port] = listener.address.split(":");
    const noise = connectPlain(Number(port), host, () => noise.end(Buffer.alloc(400, 0xb8)));
    noise.on("error", () => undefined).resume();
    await vi.waitFor(() => expect(listener.told).toHaveLength(2), { timeout: 5000 });
    nothingOpened(listener, plain);
  });

  test("serves nothing but streams, and hands out no session to come back with", async () => {
    await listen();
    const sessions: Buffer[] = [];
    const [host = "", port] = listener.address.split(":");
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...mine() });
    socket.on("session", (session) => sessions.push(session));
    expect(await knock(mine())).toBe("HTTP/1.1 426 Upgrade Required");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await new Promise((resolve) => socket.resume().on("close", resolve));
    const [session] = sessions;
    const again = connect({
      host,
      port: Number(port),
      rejectUnauthorized: false,
      ...mine(),
      ...(session && { session }),
    });
    await new Promise((resolve) => again.on("secureConnect", resolve));
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
  });
});

describe("certificates are replaced while it runs", () => {
  test("a renewed one opens what the expired one did not, and open streams stay", async () => {
    const expired = await issuer.credentials(iad, { node: ALICE, forMs: -HOUR_MS });
    const [a, b] = [await End.open(alice), await End.open(bob)];
    a.dial(b, BOB);
    await told(a, "frame hello");
    a.replace(expired);
    a.dial(b, BOB);
    await told(b, "refused: expired");
    a.replace(await issuer.credentials(iad, { node: ALICE }));
    a.dial(b, BOB);
    await vi.waitFor(() => expect(b.told.filter((line) => line === "in opened by 1")).toHaveLength(2));
    expect(b.told).not.toContain("closed");
  });

  test("an authority that is trusted no longer ends what it let in, whoever dialed", async () => {
    const next = await issuer.authority("iad");
    const renewed = (node: string, trusted: string): Promise<Credentials> =>
      issuer.pair(next, { node }).then((pair) => parseCredentials({ ca: trusted, ...pair }));
    const both = next.certificate + iad.certificate;
    const carol = await issuer.credentials(iad, { node: CAROL });
    const [a, b, c] = [await End.open({ ...alice, ca: both }), await End.open(await renewed(BOB, both)), await End.open({ ...carol, ca: both })]; // prettier-ignore
    a.dial(b, BOB);
    a.dial(c, CAROL);
    c.dial(a, ALICE);
    await vi.waitFor(() => expect(a.told.filter((line) => line.includes("opened"))).toHaveLength(3));
    a.replace(await renewed(ALICE, next.certificate));
    await vi.waitFor(() => expect(a.told.filter((line) => line === "closed")).toHaveLength(2)); // Both with carol.
    await vi.waitFor(() => expect(c.told.filter((line) => line === "closed")).toHaveLength(2));
    expect(b.told).not.toContain("closed");
  });

  test("an authority takes over from another, member by member, and all streams open at every step", async () => {
    const next = await issuer.authority("iad");
    const ca = next.certificate + iad.certificate;
    const renewed = (node: string, trusted: string): Promise<Credentials> =>
      issuer.pair(next, { node }).then((pair) => parseCredentials({ ca: trusted, ...pair }));
    const [a, b] = [await End.open(alice), await End.open(bob)];
    const steps: (() => Promise<unknown>)[] = [
      async () => a.replace({ ...alice, ca }),
      async () => b.replace({ ...bob, ca }),
      async () => a.replace(await renewed(ALICE, ca)),
      async () => b.replace(await renewed(BOB, ca)),
      async () => a.replace(await renewed(ALICE, next.certificate)),
      async () => b.replace(await renewed(BOB, next.certificate)),
    ];
    let opened = 0;
    for (const step of steps) {
      await step();
      a.dial(b, BOB);
      b.dial(a, ALICE);
      opened += 2;
      const isIn = (line: string): boolean => line.startsWith("in opened");
      await vi.waitFor(() => expect([...a.told, ...b.told].filter(isIn)).toHaveLength(opened));
    }
    // Until the last step streams that were opened with the old one's certificates stay, and then they are closed.
    await vi.waitFor(() =>
      expect([...a.told, ...b.told].filter((line) => line === "closed").length).toBeGreaterThan(0),
    );
    b.replace(bob); // And then the old one is no good any more, whoever dials.
    b.dial(a, ALICE);
    await told(b, "refused: untrusted");
    a.dial(b, BOB);
    await told(a, "refused: untrusted");
  });
});
