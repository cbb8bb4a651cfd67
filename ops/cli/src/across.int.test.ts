/** What goes across the tiers at a router: watching apps, queries in many regions, the DNS, while regions and agents die. */
import { createSocket } from "node:dgram";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { systemNow } from "@patina/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { runCommand, startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad", "fra"]);
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

const agents = (cluster: string) => running.fleet.layout.agents.filter((each) => each.cluster === cluster);
const client = (cluster: string, i: number): PatinaClient => new PatinaClient(must(agents(cluster)[i], "an agent").api);
const insert = (id: string, app: string) => [
  "INSERT INTO machines (id, app, state) VALUES (?, ?, 'started')",
  [id, app],
];

async function withoutRegion(region: string, work: () => Promise<void>): Promise<void> {
  const { supervisor } = running.fleet;
  await Promise.all(agents(region).map(({ name }) => supervisor.kill(name)));
  try {
    await work();
  } finally {
    for (const { name } of agents(region)) supervisor.start(name);
    await supervisor.ready();
  }
}

interface Event {
  readonly app?: string;
  readonly token?: string;
  readonly snapshot?: { readonly regions: readonly Placed[] };
  readonly region?: Placed;
  readonly gone?: string;
  readonly reset?: string;
  readonly lagged?: number;
  readonly error?: { readonly code: string };
}

interface Placed {
  readonly region: string;
  readonly source: string;
  readonly instances: readonly { readonly id: string }[];
}

/** Reads a watch and keeps what it says. */
class Reader {
  readonly events: Event[] = [];
  readonly #ended = new AbortController();

  constructor(app: string, from?: string, of = client("global", 0)) {
    const path = `/v1/apps/${app}/watch${from === undefined ? "" : `?from=${from}`}`;
    void this.#read(of.events(path, { timeoutMs: 0, signal: this.#ended.signal }));
  }

  async #read(events: AsyncGenerator<Event, void, void>): Promise<void> {
    try {
      for await (const event of events) this.events.push(event);
    } catch (thrown) {
      if (!this.#ended.signal.aborted) throw thrown;
    }
  }

  get token(): string | undefined {
    return this.events.findLast(({ token }) => token !== undefined)?.token;
  }

  /** What the events amount to. */
  state(): string[] {
    const regions = new Map<string, Placed>();
    for (const { snapshot, region, gone } of this.events) {
      if (snapshot !== undefined) {
        regions.clear();
        for (const each of snapshot.regions) regions.set(each.region, each);
      }
      if (region !== undefined) regions.set(region.region, region);
      if (gone !== undefined) regions.delete(gone);
    }
    const said = [...regions.values()].map(({ region, source, instances }) => {
      return `${region} ${source} ${instances
        .map(({ id }) => id)
        .sort()
        .join(",")}`;
    });
    return said.sort();
  }

  async shows(...state: string[]): Promise<void> {
    const wanted = JSON.stringify(state);
    await until(`the watch shows ${wanted}, not ${JSON.stringify(this.state())}`, async () => {
      return JSON.stringify(this.state()) === wanted;
    });
  }

  stop(): void {
    this.#ended.abort();
  }
}

describe("a watch", { timeout: 60_000 }, () => {
  test("begins with a snapshot and follows machines and regions, coming and going", async () => {
    await client("iad", 0).transact([insert("a1", "seen")]);
    const reader = new Reader("seen");
    await reader.shows("iad region a1");
    expect(reader.events[0]).toHaveProperty("snapshot");
    await client("iad", 1).transact([insert("a2", "seen")]);
    await reader.shows("iad region a1,a2");
    await client("fra", 2).transact([insert("b1", "seen")]);
    await reader.shows("fra region b1", "iad region a1,a2");
    await client("iad", 0).transact(["DELETE FROM machines WHERE app = 'seen'"]);
    await reader.shows("fra region b1");
    expect(reader.events.filter(({ snapshot }) => snapshot !== undefined)).toHaveLength(1);
    reader.stop();
  });

  test("goes on after a token with what was missed, and starts over, saying so, where the token is not known", async () => {
    const first = new Reader("seen");
    await first.shows("fra region b1");
    const { token } = first;
    first.stop();
    await client("fra", 0).transact([insert("b2", "seen")]);
    const second = new Reader("seen", token);
    await second.shows("fra region b1,b2");
    expect(second.events.some(({ snapshot }) => snapshot !== undefined)).toBe(false);
    expect(second.events).toMatchObject([{ region: { region: "fra" } }]);
    second.stop();
    const elsewhere = new Reader("seen", token, client("global", 1));
    await elsewhere.shows("fra region b1,b2");
    expect(elsewhere.events[0]).toHaveProperty("reset");
    elsewhere.stop();
  });

  test("survives the death of the agent it reads from, and of the whole region, and says what it knows then", async () => {
    await client("fra", 0).transact([insert("d1", "dying")]);
    const reader = new Reader("dying");
    await reader.shows("fra region d1");
    await withoutRegion("fra", async () => {
      await reader.shows("fra index ");
    });
    await reader.shows("fra region d1");
    const [first] = agents("fra");
    await running.fleet.supervisor.kill(must(first, "an agent").name);
    await client("fra", 1).transact([insert("d2", "dying")]);
    await reader.shows("fra region d1,d2");
    running.fleet.supervisor.start(must(first, "an agent").name);
    await running.fleet.supervisor.ready();
    reader.stop();
  });

  test("of many apps goes over one socket, each with its name, and can be ended one by one", async () => {
    await client("iad", 0).transact([insert("s1", "socket-1"), insert("s2", "socket-2")]);
    const { api } = must(agents("global")[0], "an agent");
    const socket = new WebSocket(`${api.replace("http", "ws")}/v1/watch`);
    const events: Event[] = [];
    socket.on("message", (data: Buffer) => events.push(JSON.parse(data.toString()) as Event));
    await new Promise((resolve) => socket.once("open", resolve));
    const seen = (app: string, id: string): boolean => {
      return events.some((event) => {
        const regions = [...(event.snapshot?.regions ?? []), ...(event.region === undefined ? [] : [event.region])];
        return event.app === app && regions.some(({ instances }) => instances.some((each) => each.id === id));
      });
    };
    for (const app of ["socket-1", "socket-2"]) socket.send(JSON.stringify({ watch: app }));
    await until("both are seen", async () => seen("socket-1", "s1") && seen("socket-2", "s2"));
    socket.send(JSON.stringify({ unwatch: "socket-1" }));
    socket.send("noise");
    await until("the noise is refused", async () => events.some(({ error }) => error?.code === "bad-request"));
    await client("iad", 0).transact([insert("s3", "socket-1"), insert("s4", "socket-2")]);
    await until("the other goes on", async () => seen("socket-2", "s4"));
    expect(seen("socket-1", "s3")).toBe(false);
    socket.close();
    await until("nobody watches", async () =>
      (await fetch(`${api}/metrics`).then((it) => it.text())).includes("patina_watchers 0"),
    );
  });

  test("can be switched off", async () => {
    await running.patina("switch", "off", "feature", "watch");
    await expect(client("global", 0).request("/v1/apps/seen/watch")).rejects.toMatchObject({ code: "switched-off" });
    await running.patina("switch", "on", "feature", "watch");
  });
});

interface QueryEvent {
  readonly columns?: readonly string[];
  readonly row?: readonly [number, readonly unknown[]];
  readonly eoq?: {
    readonly answered: readonly string[];
    readonly missing: readonly { region: string; reason: string }[];
  };
  readonly code?: string;
}

async function queryAt(query: string, sql: unknown): Promise<QueryEvent[]> {
  const events: QueryEvent[] = [];
  const stream = client("global", 1).events(`/v1/queries?${query}`, { method: "POST", body: sql });
  for await (const event of stream) events.push(event);
  return events;
}

const rowsOf = (events: readonly QueryEvent[]): string[] =>
  events.flatMap(({ row }) => (row === undefined ? [] : [row[1].join(" ")])).sort();

describe("a query across regions", { timeout: 60_000 }, () => {
  const sql = "SELECT id FROM machines WHERE app = 'asked'";

  test("gives every region's rows with the region, and names those that answered", async () => {
    await client("iad", 0).transact([insert("q1", "asked")]);
    await client("fra", 0).transact([insert("q2", "asked")]);
    await until("both answer", async () => rowsOf(await queryAt("scope=all", sql)).length === 2);
    const events = await queryAt("scope=all", sql);
    expect(events[0]).toEqual({ columns: ["region", "id"] });
    expect(rowsOf(events)).toEqual(["fra q2", "iad q1"]);
    expect(events.at(-1)?.eoq).toMatchObject({ answered: ["fra", "iad"], missing: [] });
    expect(rowsOf(await queryAt("scope=region:iad", sql))).toEqual(["iad q1"]);
    await until("both are indexed", async () => rowsOf(await queryAt("scope=app:asked", sql)).length === 2);
  });

  test("loses no other region's rows to one that is dead, or does not answer in time", async () => {
    const { supervisor } = running.fleet;
    const pids = supervisor.states().flatMap(({ cluster, pid }) => (cluster === "fra" ? [must(pid, "a process")] : []));
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    try {
      const began = systemNow().monotonicMs;
      const late = await queryAt("scope=all&timeout=1", sql);
      expect(systemNow().monotonicMs - began).toBeLessThan(3000);
      expect([rowsOf(late), late.at(-1)?.eoq?.answered]).toEqual([["iad q1"], ["iad"]]);
      expect(late.at(-1)?.eoq?.missing).toMatchObject([{ region: "fra", reason: "no answer within 1000 ms" }]);
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    await withoutRegion("fra", async () => {
      const dead = await queryAt("scope=all", sql);
      expect([rowsOf(dead), dead.at(-1)?.eoq?.missing.map(({ region }) => region)]).toEqual([["iad q1"], ["fra"]]);
    });
  });

  test("that is wrong is told so, as by one agent; and so is a scope that is none", async () => {
    expect((await queryAt("scope=all", "SELECT nonsense FROM machines")).at(-1)).toMatchObject({ code: "sql-error" });
    for (const [scope, code] of [
      ["mars", "bad-request"],
      ["region:mars", "region-unknown"],
      ["app:nobody", "app-absent"],
    ]) {
      await expect(queryAt(`scope=${scope}`, sql)).rejects.toMatchObject({ code });
    }
  });
});

describe("the DNS", { timeout: 60_000 }, () => {
  const domain = "patina.internal";

  /** Without the record that says for how long an answer of nothing holds. */
  async function dig(i: number, ...args: readonly string[]): Promise<{ code: string | undefined; lines: string[] }> {
    const [host, port] = must(must(agents("global")[i], "an agent").dns, "an address").split(":");
    const { stdout } = await runCommand("dig", [
      `@${host}`,
      "-p",
      `${port}`,
      "+tries=1",
      "+time=3",
      "+noauthority",
      ...args,
    ]);
    const records = stdout.split("\n").filter((line) => /^[^;].*\sIN\s/.test(line));
    return { code: /status: (\w+)/.exec(stdout)?.[1], lines: records.map((line) => line.replace(/\s+/g, " ")).sort() };
  }

  const machine = (id: string, app: string, address: string, state = "started") => [
    "INSERT INTO machines (id, app, state, address) VALUES (?, ?, ?, ?)",
    [id, app, state, address],
  ];

  test("has an app's running machines, by app and by region, over UDP and TCP", async () => {
    await client("iad", 0).transact([
      machine("n1", "named", "10.0.0.1:8080"),
      machine("n2", "named", "[fdaa::2]:8081"),
      machine("n3", "named", "10.0.0.3:8080", "stopped"),
    ]);
    await client("fra", 0).transact([machine("n4", "named", "10.9.0.4:8080")]);
    await until("it is there", async () => (await dig(0, `named.fra.${domain}`)).lines.length === 1);
    await until("it is there", async () => (await dig(0, `named.iad.${domain}`)).lines.length === 1);
    await until("the other agent has it, too", async () => (await dig(1, `named.fra.${domain}`)).lines.length === 1);
    for (const more of [[], ["+tcp"], ["+noedns"]]) {
      expect(await dig(0, `named.iad.${domain}`, ...more)).toEqual({
        code: "NOERROR",
        lines: [`named.iad.${domain}. 5 IN A 10.0.0.1`],
      });
    }
    expect((await dig(1, `NAMED.fra.${domain}`)).lines).toEqual([`NAMED.fra.${domain}. 5 IN A 10.9.0.4`]);
    expect((await dig(0, `named.iad.${domain}`, "AAAA")).lines).toEqual([`named.iad.${domain}. 5 IN AAAA fdaa::2`]);
    const anywhere = (await dig(0, `named.${domain}`)).lines;
    expect([[`named.${domain}. 5 IN A 10.0.0.1`], [`named.${domain}. 5 IN A 10.9.0.4`]]).toContainEqual(anywhere);
    const service = (await dig(0, `_http._tcp.named.iad.${domain}`, "SRV")).lines;
    expect(service).toContain(`_http._tcp.named.iad.${domain}. 5 IN SRV 0 1 8080 ip-0a000001.${domain}.`);
    expect(service).toContain(`ip-0a000001.${domain}. 5 IN A 10.0.0.1`);
    expect((await dig(0, `ip-0a000001.${domain}`)).lines).toEqual([`ip-0a000001.${domain}. 5 IN A 10.0.0.1`]);
  });

  test("tells absent from unknown, and what is not its own from both", async () => {
    await until("it is absent", async () => (await dig(0, `nobody.${domain}`)).code === "NXDOMAIN");
    expect((await dig(0, `named.mars.${domain}`)).code).toBe("NXDOMAIN");
    expect((await dig(0, "example.com")).code).toBe("REFUSED");
    expect((await dig(0, domain, "SOA")).lines).toHaveLength(1);
    await withoutRegion("fra", async () => {
      await until("what was kept is too old", async () => (await dig(0, `named.fra.${domain}`)).code === "SERVFAIL");
      expect((await dig(0, `named.iad.${domain}`)).code).toBe("NOERROR");
    });
  });

  test("cuts what does not fit in a datagram, and gives the whole over TCP", async () => {
    const many = Array.from({ length: 16 }, (_, i) => machine(`m-${i}`, "many", `10.1.0.${i + 1}:80`));
    await client("iad", 0).transact(many);
    const name = `many.iad.${domain}`;
    await until("all are there", async () => (await dig(0, name, "+tcp")).lines.length === 16);
    const cut = await dig(0, name, "SRV", "+noedns", "+ignore");
    expect(cut.lines).toEqual([]);
    expect((await dig(0, name, "SRV", "+noedns")).lines.length).toBeGreaterThanOrEqual(16);
  });

  test("outlives noise, and names that cannot be written again", async () => {
    const [host, port] = must(must(agents("global")[0], "an agent").dns, "an address").split(":");
    const noise = createSocket("udp4");
    const replies: Buffer[] = [];
    noise.on("message", (reply) => replies.push(reply));
    const head = Buffer.from("abcd01000001000000000000", "hex");
    const dotted = Buffer.concat([
      head,
      Buffer.from("012e0670617469 6e6100".replaceAll(" ", ""), "hex"),
      Buffer.from("00010001", "hex"),
    ]);
    for (const message of [dotted, head, Buffer.alloc(3), Buffer.alloc(600, 0xff), Buffer.alloc(64)]) {
      noise.send(message, Number(port), host);
    }
    await until("some are answered", async () => replies.length > 0);
    noise.close();
    expect((await dig(0, `named.iad.${domain}`)).code).toBe("NOERROR");
    await running.patina("switch", "off", "feature", "dns");
    expect((await dig(0, `named.iad.${domain}`)).code).toBe("REFUSED");
    await running.patina("switch", "on", "feature", "dns");
  });
});
