/** The DNS over real sockets: forged questions, the end of the process, and clients that do not read. */
import { channel } from "node:diagnostics_channel";
import { createSocket, type Socket as Datagrams } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Placement } from "@patina/router";
import * as dns from "dns-packet";
import { afterEach, expect, test, vi } from "vitest";
import { DnsServer } from "./dns-server.js";

const NOERROR = 0;
const NXDOMAIN = 3;
const config = {
  domain: "apps.internal",
  ttlSeconds: 5,
  addressColumn: "address",
  only: {},
  recordsMax: 16,
};
const placed = (app: string): Placement => {
  const instances = Array.from({ length: 16 }, (_, i) => ({ address: `10.0.0.${i + 1}:80` }));
  const region = { region: "iad", class: "serving", grade: "live", ageMs: 0, source: "region", instances } as const;
  return { app, result: "found", complete: true, missing: [], regions: [region] };
};
const absent = (app: string): Placement => ({ app, result: "absent", complete: true, missing: [], regions: [] });

/** The server's own ends: what the kernel never does with an ordinary socket is done to them. */
const inside: { datagrams: Datagrams[]; connections: Socket[] } = { datagrams: [], connections: [] };
channel("udp.socket").subscribe((message) => inside.datagrams.push((message as { socket: Datagrams }).socket));
channel("net.server.socket").subscribe((message) => inside.connections.push((message as { socket: Socket }).socket));

const faults: unknown[] = [];
let close: () => Promise<void> = async () => undefined;

afterEach(async () => {
  await close();
  inside.datagrams = [];
  inside.connections = [];
  faults.length = 0;
});

/** On a port of its own. */
async function start(resolve: (app: string) => Promise<Placement>): Promise<number> {
  const probe = createSocket("udp4").bind(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  inside.datagrams = [];
  const server = await DnsServer.start({
    address: `127.0.0.1:${port}`,
    config,
    resolve,
    hasRegion: (region) => region === "iad",
    isOff: () => false,
    onFault: (thrown) => faults.push(thrown),
  });
  close = async () => {
    close = async () => undefined;
    await server.close();
  };
  return port;
}

const question = (name: string, type: "A" | "SRV" = "A"): Buffer =>
  dns.encode({ type: "query", id: 7, questions: [{ name, type }] });

async function ask(port: number, name: string): Promise<dns.DecodedPacket> {
  const asker = createSocket("udp4");
  asker.send(question(name), port, "127.0.0.1");
  const [reply] = (await once(asker, "message")) as [Buffer];
  asker.close();
  return dns.decode(reply);
}

test("a question from port 0 is let lie", async () => {
  const resolve = vi.fn<(app: string) => Promise<Placement>>(async (app) => absent(app));
  const port = await start(resolve);
  inside.datagrams[0]?.emit("message", question("forged.apps.internal"), { address: "127.0.0.1", port: 0 });
  await ask(port, "web.apps.internal");
  expect(faults).toEqual([]);
  expect(resolve.mock.calls.map(([app]) => app)).toEqual(["web"]);
});

test("a mistake of ours costs one answer, and is told of", async () => {
  const port = await start(async (app) => absent(app));
  inside.datagrams[0]?.emit("message", question("web.apps.internal"), { address: "127.0.0.1", port: 65_536 });
  await vi.waitFor(() => expect(faults).toMatchObject([{ code: "ERR_SOCKET_BAD_PORT" }]));
  await ask(port, "web.apps.internal");
});

test("a question that is under way at the end gets no answer", async () => {
  const onUnhandled = vi.fn<() => void>();
  const steps = new EventEmitter();
  const port = await start(async (app) => {
    steps.emit("asked");
    await once(steps, "closed");
    return absent(app);
  });
  const asker = createSocket("udp4");
  const asked = once(steps, "asked");
  asker.send(question("web.apps.internal"), port, "127.0.0.1");
  await asked;
  await close();
  process.on("unhandledRejection", onUnhandled);
  steps.emit("closed");
  await new Promise((resolve) => setImmediate(resolve)); // By then it would have been sent.
  process.off("unhandledRejection", onUnhandled);
  expect(onUnhandled).not.toHaveBeenCalled();
  asker.close();
});

test("the name of a region is there, and empty", async () => {
  const port = await start(async (app) => absent(app));
  const codeOf = async (name: string): Promise<number> => ((await ask(port, name)).flags ?? 0) & 15;
  expect([await codeOf("iad.apps.internal"), await codeOf("mars.apps.internal")]).toEqual([NOERROR, NXDOMAIN]);
});

test("where there is nothing, it says for how long that may be remembered, and nowhere else", async () => {
  const port = await start(async (app) => (app === "web" ? placed(app) : absent(app)));
  const authorityOf = async (name: string): Promise<unknown[]> =>
    ((await ask(port, name)).authorities ?? []).map((it) => (it.type === "SOA" ? [it.type, it.name, it.data.minimum] : it)); // prettier-ignore
  const soa = ["SOA", "apps.internal", config.ttlSeconds];
  expect(await authorityOf("none.apps.internal")).toEqual([soa]);
  expect(await authorityOf("iad.apps.internal")).toEqual([soa]);
  expect(await authorityOf("web.apps.internal")).toEqual([]);
  expect(await authorityOf("example.com")).toEqual([]);
});

test("a client that asks and does not read is read no further until it does, and then goes on", async () => {
  const questions = 30_000;
  let asked = 0;
  const port = await start(async (app) => (asked++, placed(app)));
  const client = connect(port, "127.0.0.1");
  const message = question("web.apps.internal", "SRV");
  const head = Buffer.alloc(2);
  head.writeUInt16BE(message.length);
  client.write(Buffer.concat(Array<Buffer[]>(questions).fill([head, message]).flat()));
  const isPaused = (): boolean => inside.connections[0]?.isPaused() === true;
  await vi.waitFor(() => expect(isPaused()).toBe(true), { timeout: 15_000 });
  const askedUnread = asked;
  expect(askedUnread).toBeLessThan(questions / 2);
  client.resume();
  await vi.waitFor(() => expect(asked).toBeGreaterThan(askedUnread));
  client.destroy();
});
