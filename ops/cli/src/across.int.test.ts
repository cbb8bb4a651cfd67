/** What goes across the tiers at a router: watching apps, and queries in many regions, while regions and agents die. */
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { systemNow } from "@patina/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

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
  for await (const event of stream) events.push(event as QueryEvent);
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
