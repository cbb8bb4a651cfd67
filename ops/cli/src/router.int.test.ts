/**
 * A router as users and regions meet it, on real processes: what it answers with no network, whose rows it takes, what it
 * does with rows that make no sense, and what it says of itself.
 */
import { Validator } from "@seriousme/openapi-schema-validator";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { systemNow } from "@patina/runtime";
import { readSecurity, type SignedRequest, signRequest } from "@patina/security";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlacedAgent } from "./fleet/layout.js";
import { settle } from "./fleet/settle.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";
import { type Rogue, startRogue } from "./testing/rogue.js";
import { memberPathsIn } from "./tls/member-dir.js";

let running: TestFleet;
let rogue: Rogue;

beforeAll(async () => {
  running = await startTestFleet(["iad", "fra"]);
  rogue = await startRogue(running);
  for (const i of [0, 1]) {
    await until("the router has heard of both regions", async () => {
      return (await client("global", i).request<{ regions: unknown[] }>("/v1/regions")).regions.length === 2;
    });
  }
}, 90_000);

afterAll(async () => {
  await rogue.stop();
  await running.stop();
}, 60_000);

const placed = (cluster: string, i: number): PlacedAgent => {
  return must(
    running.fleet.layout.agents.find(({ name }) => name === `${cluster}-${i + 1}`),
    "an agent",
  );
};
const client = (cluster: string, i: number): PatinaClient => new PatinaClient(placed(cluster, i).api);
const router = (): PatinaClient => client("global", 0);
const insert = (id: string, app: string) => [
  "INSERT INTO machines (id, app, state) VALUES (?, ?, 'started')",
  [id, app],
];

interface Placement {
  readonly result: string;
  readonly complete: boolean;
  readonly hasWaited?: boolean;
  readonly regions: readonly {
    readonly region: string;
    readonly grade: string;
    readonly source: string;
    readonly ageMs: number;
    readonly instances: readonly { readonly id: string }[];
  }[];
  readonly missing: readonly { readonly region: string; readonly reason: string }[];
}

async function resolve(app: string, query = "", of = router()): Promise<Placement> {
  return of.request<Placement>(`/v1/apps/${app}/placement${query}`, { accept: [404, 503] });
}

async function indexed(app: string, region: string): Promise<void> {
  await until(`${app} is indexed in ${region}`, async () => {
    const { regions } = await resolve(app);
    return regions.some((each) => each.region === region && each.source === "region");
  });
}

async function metric(line: string, of = placed("global", 0)): Promise<number> {
  const text = await fetch(`${of.api}/metrics`).then((answer) => answer.text());
  const found = text.split("\n").find((it) => it.startsWith(`${line} `));
  return found === undefined ? 0 : Number(found.slice(line.length + 1));
}

interface KeptOut {
  readonly app: string | null;
  readonly region: string;
  readonly reason: string;
  readonly serves_last_good: boolean;
}

async function keptOut(of = router()): Promise<readonly KeptOut[]> {
  return (await of.request<{ rows: KeptOut[] }>("/v1/map/quarantine")).rows;
}

describe("a caller of the router", { timeout: 60_000 }, () => {
  test("who has just written sees its own write, wherever the index is with it", async () => {
    for (let i = 0; i < 20; i++) {
      const { actor_id: origin, version } = await client("fra", i % 3).transact([insert(`own-${i}`, `own-${i}`)]);
      const placement = await resolve(`own-${i}`, `?wait=${origin}:${version}`, client("global", i % 2));
      expect(placement).toMatchObject({ result: "found", hasWaited: true });
      expect(placement.regions.map(({ region }) => region)).toEqual(["fra"]);
    }
  });

  test("who waits for a write that never was is told that it is not known", async () => {
    const { actor_id: origin } = await client("fra", 0).transact([insert("w1", "waiting")]);
    const placement = await resolve("nobody", `?wait=${origin}:999999999`);
    expect(placement).toMatchObject({ result: "unknown", hasWaited: false });
    await expect(resolve("nobody", "?wait=soon")).rejects.toMatchObject({ code: "bad-request" });
  });

  test("who accepts an age may get an answer that was kept, and nobody else does", async () => {
    await client("iad", 0).transact([insert("k1", "kept")]);
    await indexed("kept", "iad");
    await resolve("kept");
    const kept = await resolve("kept", "?max_age=30");
    expect(kept.regions[0]).toMatchObject({ source: "kept", grade: "fresh" });
    expect(kept.regions[0]?.ageMs).toBeLessThan(30_000);
    for (const query of ["", "?max_age=30&require=live", "?max_age=0"]) {
      expect((await resolve("kept", query)).regions[0]).toMatchObject({ source: "region", grade: "live", ageMs: 0 });
    }
  });

  test("who names a place that is none is told so", async () => {
    await expect(resolve("kept", "?near=91,0")).rejects.toMatchObject({ code: "bad-request" });
    await expect(resolve("kept", "?require=best")).rejects.toMatchObject({ code: "bad-request" });
  });

  test("does not wait for an agent that hangs: another of the region is asked beside it", async () => {
    const stopped = placed("iad", 0);
    const { pid } = must(
      running.fleet.supervisor.states().find(({ name }) => name === stopped.name),
      "a process",
    );
    process.kill(must(pid, "a process"), "SIGSTOP");
    try {
      for (let i = 0; i < 5; i++) {
        const began = systemNow().monotonicMs;
        const placement = await resolve("kept", "?regions=iad");
        expect(placement.regions[0]).toMatchObject({ region: "iad", grade: "live" });
        expect(systemNow().monotonicMs - began).toBeLessThan(900);
      }
    } finally {
      process.kill(must(pid, "a process"), "SIGCONT");
    }
  });
});

describe("a region's border", { timeout: 60_000 }, () => {
  const publication = (region: string, stampMs: number, generation = 1) => ({
    region,
    generation,
    rows: [{ app: "forged", class: "serving", high_water: String(BigInt(Math.floor(stampMs)) << 16n) }],
  });

  async function publish(as: PlacedAgent | undefined, body: unknown, to = "placements", agoMs = 0): Promise<unknown> {
    const security = as && (await readSecurity(memberPathsIn(as.tls_dir), as.cluster, as.role));
    const signedMs = systemNow().wallMs - agoMs;
    const sign = security && ((request: SignedRequest) => signRequest(security.credentials, request, signedMs));
    return new PatinaClient(placed("global", 0).api, { sign }).request(`/v1/${to}`, { method: "POST", body });
  }

  test("writes its own region's rows and no other's, and nobody writes any without a credential", async () => {
    const { wallMs } = systemNow();
    const refusals = [
      [undefined, publication("iad", wallMs), "credential-refused"],
      [placed("global", 0), publication("iad", wallMs), "credential-refused"],
      [placed("fra", 0), publication("iad", wallMs), "region-foreign"],
    ] as const;
    for (const [as, body, code] of refusals) {
      const line = `patina_publications_refused_total{reason="${code}"}`;
      const before = await metric(line);
      await expect(publish(as, body)).rejects.toMatchObject({ code });
      expect(await metric(line)).toBe(before + 1);
    }
    expect((await resolve("forged")).regions).toEqual([]);
    const old = publication("iad", wallMs - 60_000);
    await expect(publish(placed("iad", 0), old)).resolves.toMatchObject({ written: 1 });
  });

  test("writes nothing from the future, no generation out of nowhere, and no heartbeat from before its last", async () => {
    const { wallMs } = systemNow();
    const as = placed("iad", 0);
    await expect(publish(as, publication("iad", wallMs + 120_000))).rejects.toMatchObject({ code: "clock-ahead" });
    const ahead = publish(as, publication("iad", wallMs, 1_000_000));
    await expect(ahead).rejects.toMatchObject({ code: "generation-ahead" });
    const beat = { generation: 1, high_water: "0", apis: [], agents: 1, apps: 0, location: null };
    await expect(publish(as, beat, "regions/iad", 30_000)).rejects.toMatchObject({ code: "request-late" });
  });

  test("is the only way in: SQL does not reach what is derived", async () => {
    for (const sql of ["DELETE FROM placements", "UPDATE \"Regions\" SET apis = '[]'"]) {
      await expect(router().transact([sql])).rejects.toMatchObject({ code: "sql-not-allowed" });
    }
  });

  test("is told of a row that its region denies, and withdraws it long before its next audit", async () => {
    const heldMs = BigInt(Math.floor(systemNow().wallMs) - 60_000) << 16n;
    await rogue.write({
      table: "placements",
      values: { app: "ghost", region: "fra", class: "serving" },
      stamp: { epoch: 1, hlc: heldMs },
    });
    const inIndex = async () => (await router().request<{ rows: { app: string }[] }>("/v1/placements?region=fra")).rows;
    await until("the ghost is in the index", async () => (await inIndex()).some(({ app }) => app === "ghost"));
    expect((await resolve("ghost")).result).toBe("absent");
    await until("it is withdrawn", async () => !(await inIndex()).some(({ app }) => app === "ghost"), 10_000);
    expect(await metric("patina_corrections_total")).toBeGreaterThan(0);
  });
});

test.each(["iad", "global"])("an agent of %s describes its routes in a valid OpenAPI document", async (cluster) => {
  const document = await client(cluster, 0).request<{ paths: Record<string, Record<string, unknown>> }>(
    "/v1/openapi.json",
  );
  expect(await new Validator().validate(document)).toMatchObject({ valid: true });
  expect(document.paths["/v1/apps/{app}/placement"]?.["get"]).toBeDefined();
  expect(document.paths["/v1/transactions"]?.["post"]).toBeDefined();
});

describe("a row that makes no sense", { timeout: 60_000 }, () => {
  /** A faulty release writes its row again as soon as the region has put it right. */
  async function whilePoisoned(work: () => Promise<void>): Promise<void> {
    const again = new AbortController();
    const writing = (async () => {
      while (!again.signal.aborted) {
        await rogue.write({
          table: "regions",
          values: { region: "iad", generation: 1n, heartbeat_ms: 0n, apis: '["javascript:alert(1)"]' },
          stamp: { epoch: 1, hlc: BigInt(Math.floor(systemNow().wallMs)) << 16n },
        });
      }
    })();
    try {
      await work();
    } finally {
      again.abort();
      await writing;
    }
  }

  test("stays out of every map, is listed within a second, and its region is told; the last good one serves on", async () => {
    await client("iad", 0).transact([insert("p1", "poisoned")]);
    await indexed("poisoned", "iad");
    await whilePoisoned(async () => {
      for (const i of [0, 1]) {
        const listed = (): Promise<readonly KeptOut[]> => keptOut(client("global", i));
        await until("it is listed", async () => (await listed()).some(({ serves_last_good: serves }) => serves), 1000);
        expect((await resolve("poisoned", "", client("global", i))).regions[0]).toMatchObject({ grade: "live" });
      }
      await until("the command lists it", async () => {
        return (await running.patina("quarantine", "list", "--global")).stdout.includes("http addresses");
      });
      await until("the region is told", async () => {
        const counts = [0, 1, 2].map((i) => client("iad", i).request<{ doubts: number }>("/v1/border"));
        return (await Promise.all(counts)).some(({ doubts }) => doubts > 0);
      });
    });
    await until("the region has put it right", async () => (await keptOut()).length === 0);
  });

  test("of one region is in `patina quarantine list`, and the others see nothing of it", async () => {
    await client("fra", 0).transact([insert("q1", "sound")]);
    await indexed("sound", "fra");
    const doubtsOf = async (i: number) => (await client("fra", i).request<{ doubts: number }>("/v1/border")).doubts;
    const doubts = await Promise.all([0, 1, 2].map(doubtsOf));
    await whilePoisoned(async () => {
      let listed: readonly KeptOut[] = []; // Once: its region goes on putting the row right in between.
      await until("it is listed", async () => {
        const { stdout } = await running.patina("quarantine", "list", "--global", "-o", "json");
        return (listed = (JSON.parse(stdout) as { rows?: KeptOut[] }[]).flatMap(({ rows = [] }) => rows)).length === 2;
      });
      expect(listed.map(({ region }) => region)).toEqual(["iad", "iad"]);
      for (const i of [0, 1]) {
        const placement = await resolve("sound", "", client("global", i));
        expect(placement).toMatchObject({
          result: "found",
          complete: true,
          regions: [{ region: "fra", grade: "live" }],
        });
      }
      for (const i of [0, 1, 2]) {
        expect(await client("fra", i).request("/v1/quarantine")).toMatchObject({ changes: [] });
      }
      expect(await Promise.all([0, 1, 2].map(doubtsOf))).toEqual(doubts);
    });
    await until("the region has put it right", async () => (await keptOut()).length === 0);
  });

  test("stays out over a restart, with the last good one still in service", async () => {
    const { name } = placed("global", 0);
    await whilePoisoned(async () => {
      await until("it is listed", async () => (await keptOut()).length === 1, 1000);
      await running.fleet.supervisor.stop(name);
      running.fleet.supervisor.start(name);
      await until("it serves", async () => {
        const placement = await resolve("poisoned").catch(() => undefined);
        return placement !== undefined && placement.regions.length > 0;
      });
      expect((await resolve("poisoned")).regions[0]).toMatchObject({ region: "iad", grade: "live" });
      await until("it is listed again", async () => (await keptOut()).length === 1);
    });
    await running.fleet.supervisor.ready();
  });

  test("can be kept from doing harm at once: a switch holds what the map has of a table, an origin, a region", async () => {
    await client("fra", 0).transact([insert("s1", "switched")]);
    await indexed("switched", "fra");
    const row = {
      table: "placements",
      values: { app: "switched", region: "fra", class: "standby" },
      stamp: { epoch: 1, hlc: BigInt(Math.floor(systemNow().wallMs)) << 16n },
    };
    const mapped = async () => {
      const { router: says } = await router().request<{ router: { map: { class: string }[] } }>("/v1/explain/switched");
      return says.map.map(({ class: cls }) => cls);
    };
    const off = await running.patina("switch", "off", "origin", rogue.origin, "-o", "json");
    expect(JSON.parse(off.stdout)).toMatchObject([{ origins: [rogue.origin] }, { origins: [rogue.origin] }]);
    await rogue.write(row);
    const index = async () =>
      (await router().request<{ rows: { app: string; class: string }[] }>("/v1/placements?region=fra")).rows;
    await until("the row is in the index", async () => {
      return (await index()).some(({ app, class: cls }) => app === "switched" && cls === "standby");
    });
    expect(await mapped()).toEqual(["serving"]);
    expect((await running.patina("switch", "on", "origin", rogue.origin)).status).toBe(0);
    await until(
      "the map follows the index again",
      async () => (await mapped())[0] === (await index()).find(({ app }) => app === "switched")?.class,
    );
    await client("fra", 0).transact(["DELETE FROM machines WHERE app = 'switched'"]); // The rogue's row is newer than fra's.
    await expect(
      router().request("/v1/switches", { method: "PUT", body: { features: ["gossip"] } }),
    ).rejects.toMatchObject({
      code: "bad-request",
    });
  });
});

describe("what a router says of itself", { timeout: 60_000 }, () => {
  test("is every tier's belief of an app on one screen", async () => {
    await client("iad", 1).transact([insert("e1", "explained"), insert("e2", "explained")]);
    await indexed("explained", "iad");
    const { status, stdout } = await running.patina("explain", "explained");
    expect(status).toBe(0);
    for (const said of ["explained: found", "iad", "fra", "not here", "serving", "fresh", "closed", "the same"]) {
      expect(stdout).toContain(said);
    }
    const json = await running.patina("explain", "explained", "-o", "json");
    const { regions } = JSON.parse(json.stdout) as { regions: { region: string; says: { machines: number } }[] };
    expect(regions.map(({ region, says }) => `${region} ${says.machines}`)).toEqual(["fra 0", "iad 2"]);
  });

  test("is what a region's agent passes on, for what is not in its own region", async () => {
    const iad = client("iad", 2);
    expect(await resolve("explained", "", iad)).toMatchObject({ result: "found", regions: [{ region: "iad" }] });
    await client("fra", 0).transact([insert("f1", "in-fra")]);
    await indexed("in-fra", "fra");
    expect(await resolve("in-fra", "", iad)).toMatchObject({
      result: "found",
      regions: [{ region: "fra", grade: "live" }],
    });
    const { actor_id: origin, version } = await client("iad", 0).transact([insert("o1", "own-here")]);
    const own = await resolve("own-here", `?wait=${origin}:${version}`, iad);
    expect(own).toMatchObject({ result: "found", hasWaited: true, regions: [{ region: "iad" }] });
    const { supervisor, layout } = running.fleet;
    const routers = layout.fleet.global.map(({ name }) => name);
    for (const name of routers) await supervisor.kill(name);
    expect(await resolve("explained", "", iad)).toMatchObject({ result: "found", regions: [{ grade: "live" }] });
    expect(await resolve("explained", "?everywhere=true", iad)).toMatchObject({ result: "found", missing: [{}] });
    expect(await resolve("in-fra", "", iad)).toMatchObject({ result: "unknown", complete: false, regions: [] });
    for (const name of routers) supervisor.start(name);
    await supervisor.ready();
  });

  test("with everybody else dead it answers from its disk, says how old that is, and does not claim to be ready", async () => {
    expect(await settle(running.fleet.layout.fleet, router(), 20_000)).toBeUndefined();
    await rogue.stop();
    const { supervisor, layout } = running.fleet;
    for (const { name } of layout.agents) await supervisor.kill(name);
    supervisor.start(placed("global", 1).name);
    const alone = client("global", 1);
    await until("it serves", async () =>
      alone.request("/livez").then(
        () => true,
        () => false,
      ),
    );
    const { ready } = await alone.request<{ ready: boolean }>("/readyz", { accept: [503] });
    const placement = await resolve("explained", "", alone);
    expect(placement).toMatchObject({ result: "found", complete: false });
    const [iad] = placement.regions;
    expect(iad).toMatchObject({ region: "iad", source: "index", instances: [] });
    expect(iad?.ageMs).toBeGreaterThan(0);
    expect((await resolve("never-was", "", alone)).result).toBe("unknown");
    expect(ready).toBe(false);
    const explained = await running.patina("explain", "explained");
    expect(explained.status).toBe(0);
    expect(explained.stdout).toContain("does not answer");
    for (const { name } of layout.agents) supervisor.start(name);
    await supervisor.ready();
    await indexed("explained", "iad");
  });
});
