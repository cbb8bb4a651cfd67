/**
 * Answers DNS questions over UDP and TCP on one port. Bounded: so many questions at once, one in a message, one resolution
 * each, connections that are idle are ended. An answer that does not fit in a datagram says so, and is asked for over TCP.
 */
import { createSocket, type RemoteInfo, type Socket as Datagrams } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { AppError } from "@patina/base";
import type { Placement, ResolveOptions } from "@patina/router";
import { listenError, parseAddress } from "@patina/runtime";
import * as dns from "dns-packet";
import { type DnsConfig, type Endpoint, endpointsOf, nameOfAddress, optionsFor, parseName } from "./answer.js";

export interface DnsOptions {
  readonly address: string;
  readonly config: DnsConfig;
  readonly resolve: (app: string, options: ResolveOptions) => Promise<Placement>;
  readonly hasRegion: (region: string) => boolean;
  readonly isOff: () => boolean;
  /** A question was left without an answer over a mistake of ours: its asker asks again. */
  readonly onFault: (thrown: unknown) => void;
}

/** Questions at once; one more gets no answer, and is asked again by its resolver. */
const QUESTIONS_MAX = 1024;
const CONNECTIONS_MAX = 256;
const IDLE_MS = 5000;
/** Of answers that a connection does not read: then nothing more is read from it, and it idles to its end. */
const UNREAD_BYTES_MAX = 1 << 16;
/** A question is a name and little more. */
const MESSAGE_BYTES_MAX = 4096;
/** Of a datagram, without EDNS and at most. */
const PLAIN_BYTES = 512;
const EDNS_BYTES_MAX = 1232;
const STREAM_BYTES = 65_535;

type Code = "NOERROR" | "FORMERR" | "SERVFAIL" | "NXDOMAIN" | "NOTIMP" | "REFUSED";
const CODES: Readonly<Record<Code, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

interface Reply {
  readonly code: Code;
  readonly answers: readonly dns.Answer[];
  readonly additionals?: readonly dns.Answer[];
  /** Says for how long a resolver may remember that there is nothing (RFC 2308); without it, it asks each time. */
  readonly authority?: dns.SoaAnswer;
}

export class DnsServer {
  readonly #options: DnsOptions;
  readonly #datagrams: Datagrams;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #underWay = 0;
  #isClosed = false;

  private constructor(options: DnsOptions) {
    this.#options = options;
    const { host } = parseAddress(options.address);
    this.#datagrams = createSocket(host.includes(":") ? "udp6" : "udp4", (message, from) => {
      this.#onDatagram(message, from).catch(options.onFault);
    });
    this.#server = createServer((socket) => this.#onConnection(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
  }

  /** Throws `port-in-use` and `config-invalid`. */
  static async start(options: DnsOptions): Promise<DnsServer> {
    const server = new DnsServer(options);
    const { host, port } = parseAddress(options.address);
    try {
      await listening(server.#datagrams, () => server.#datagrams.bind(port, host));
      await listening(server.#server, () => server.#server.listen(port, host));
    } catch (thrown) {
      await server.close();
      throw listenError(thrown as NodeJS.ErrnoException, "the DNS", options.address);
    }
    server.#datagrams.on("error", () => undefined); // Of one datagram that could not be sent: its asker asks again.
    return server;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([closed((done) => this.#datagrams.close(done)), closed((done) => this.#server.close(done))]);
  }

  async #onDatagram(message: Buffer, { address, port }: RemoteInfo): Promise<void> {
    if (port === 0) return; // Forged: nobody can be answered there.
    const reply = await this.#answer(message, "datagram");
    if (reply !== undefined && !this.#isClosed) this.#datagrams.send(reply, port, address);
  }

  /** Messages one after another, each with its length before it. */
  #onConnection(socket: Socket): void {
    this.#connections.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => socket.resume());
    socket.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
        const length = rest.readUInt16BE();
        const message = rest.subarray(2, 2 + length);
        rest = rest.subarray(2 + length);
        this.#onMessage(message, socket).catch(this.#options.onFault);
      }
      if (rest.length > MESSAGE_BYTES_MAX) socket.destroy();
    });
  }

  async #onMessage(message: Buffer, socket: Socket): Promise<void> {
    const reply = await this.#answer(message, "stream");
    if (reply === undefined || socket.destroyed) return;
    const head = Buffer.alloc(2);
    head.writeUInt16BE(reply.length);
    socket.write(Buffer.concat([head, reply]));
    if (socket.writableLength > UNREAD_BYTES_MAX) socket.pause();
  }

  /** The reply's bytes; undefined for what deserves none. */
  async #answer(message: Buffer, transport: "datagram" | "stream"): Promise<Buffer | undefined> {
    if (message.length < 12 || message.length > MESSAGE_BYTES_MAX || this.#underWay >= QUESTIONS_MAX) return undefined;
    const id = message.readUInt16BE();
    const isReply = (message.readUInt8(2) & 0x80) !== 0;
    if (isReply) return undefined; // A reply to a reply would go on for ever.
    if (((message.readUInt8(2) >> 3) & 0x0f) !== 0) return encodeBare(id, "NOTIMP");
    this.#underWay++;
    try {
      const query = dns.decode(message);
      const edns = query.additionals?.find((record): record is dns.OptAnswer => record.type === "OPT");
      const datagramMax = Math.min(EDNS_BYTES_MAX, Math.max(PLAIN_BYTES, edns?.udpPayloadSize ?? PLAIN_BYTES));
      const reply = withAuthority(await this.#reply(query), this.#options.config);
      return encodeReply(query, reply, transport === "stream" ? STREAM_BYTES : datagramMax);
    } catch (thrown) {
      // Noise that cannot be read, or a name that can be read and not be written again: the asker is told.
      return encodeBare(id, thrown instanceof AppError ? "SERVFAIL" : "FORMERR");
    } finally {
      this.#underWay--;
    }
  }

  async #reply(query: dns.DecodedPacket): Promise<Reply> {
    const { config, isOff } = this.#options;
    const [question, ...more] = query.questions ?? [];
    if (question === undefined || more.length > 0) return { code: "FORMERR", answers: [] };
    if (isOff()) return { code: "REFUSED", answers: [] };
    const asked = parseName(question.name, config.domain);
    switch (asked.kind) {
      case "foreign":
        return { code: "REFUSED", answers: [] };
      case "apex":
        return { code: "NOERROR", answers: question.type === "SOA" ? [soa(config)] : [] };
      case "nothing":
        return { code: "NXDOMAIN", answers: [] };
      case "address":
        return { code: "NOERROR", answers: addresses(question, [asked.endpoint], config) };
      case "app":
        return this.#replyOfApp(question, asked);
    }
  }

  async #replyOfApp(
    question: dns.Question,
    asked: { readonly app: string; readonly region: string | undefined },
  ): Promise<Reply> {
    const { config, resolve, hasRegion } = this.#options;
    if (asked.region !== undefined && !hasRegion(asked.region)) return { code: "NXDOMAIN", answers: [] };
    const placement = await resolve(asked.app, optionsFor(asked, config));
    // The region that was named has said that it does not have it, wherever else it may be.
    const elsewhere = asked.region !== undefined && placement.missing.every(({ region }) => region !== asked.region);
    // Names may exist below a region's, though nothing has its own: such a name is there, and is empty (RFC 8020).
    const isRegion = asked.region === undefined && hasRegion(asked.app);
    if (placement.result === "absent") return { code: isRegion ? "NOERROR" : "NXDOMAIN", answers: [] };
    if (placement.result === "unknown") return { code: elsewhere ? "NXDOMAIN" : "SERVFAIL", answers: [] };
    const endpoints = endpointsOf(placement, config);
    const isSilent = endpoints.length === 0 && placement.regions.every(({ source }) => source === "index");
    if (isSilent) return { code: "SERVFAIL", answers: [] };
    if (question.type !== "SRV") return { code: "NOERROR", answers: addresses(question, endpoints, config) };
    return services(question, endpoints, config);
  }
}

function addresses(
  { name, type }: dns.Question,
  endpoints: readonly Endpoint[],
  { ttlSeconds: ttl }: DnsConfig,
): dns.Answer[] {
  const family = type === "A" ? 4 : type === "AAAA" ? 6 : 0;
  const hosts = new Set(endpoints.filter((each) => each.family === family).map(({ host }) => host));
  return [...hosts].map((data) => ({ type: family === 4 ? "A" : "AAAA", name, ttl, data }));
}

/** Each with the address of what it points at beside it. */
function services(
  { name }: dns.Question,
  endpoints: readonly Endpoint[],
  { domain, ttlSeconds: ttl }: DnsConfig,
): Reply {
  const withPort = endpoints.filter(({ port }) => port > 0);
  return {
    code: "NOERROR",
    answers: withPort.map((endpoint) => {
      const data = { priority: 0, weight: 1, port: endpoint.port, target: nameOfAddress(endpoint, domain) };
      return { type: "SRV", name, ttl, data };
    }),
    additionals: withPort.map((endpoint) => {
      const type = endpoint.family === 4 ? "A" : "AAAA";
      return { type, name: nameOfAddress(endpoint, domain), ttl, data: endpoint.host };
    }),
  };
}

/** Of "no such name" and of "nothing of this type". */
function withAuthority(reply: Reply, config: DnsConfig): Reply {
  const isNegative = reply.answers.length === 0 && (reply.code === "NOERROR" || reply.code === "NXDOMAIN");
  return isNegative ? { ...reply, authority: soa(config) } : reply;
}

function soa({ domain, ttlSeconds: ttl }: DnsConfig): dns.SoaAnswer {
  const data = {
    mname: domain,
    rname: `hostmaster.${domain}`,
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: ttl,
  };
  return { type: "SOA", name: domain, ttl, data };
}

/** What does not fit is left out, and the reply says that it is cut. */
function encodeReply(
  query: Pick<dns.Packet, "id" | "questions" | "additionals">,
  reply: Reply,
  bytesMax: number,
): Buffer {
  const encode = ({ answers, additionals = [], authority }: Omit<Reply, "code">, flags = 0): Buffer =>
    dns.encode({
      type: "response",
      ...(query.id === undefined ? {} : { id: query.id }),
      flags: dns.AUTHORITATIVE_ANSWER | flags | CODES[reply.code],
      questions: [...(query.questions ?? [])],
      answers: [...answers],
      authorities: authority === undefined ? [] : [authority],
      additionals: [...additionals],
    });
  const whole = encode(reply);
  if (whole.length <= bytesMax) return whole;
  const bare = encode({ answers: reply.answers });
  return bare.length <= bytesMax ? bare : encode({ answers: [] }, dns.TRUNCATED_RESPONSE);
}

function encodeBare(id: number, code: Code): Buffer {
  return encodeReply({ id, questions: [] }, { code, answers: [] }, PLAIN_BYTES);
}

async function listening(on: Datagrams | Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    on.once("error", reject);
    on.once("listening", () => {
      on.removeListener("error", reject);
      resolve();
    });
    listen();
  });
}

/** One that never listened is closed already. */
async function closed(close: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    try {
      close(resolve);
    } catch {
      resolve();
    }
  });
}
