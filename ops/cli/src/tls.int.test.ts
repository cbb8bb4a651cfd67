/** `patina tls`, and what comes of it in a running fleet: keys are rotated, certificates renewed, run out, and do no harm. */
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PlacedAgent } from "./fleet/layout.js";
import { runCommand, runPatina, startTestFleet, type TestFleet, until } from "./testing/fleet.js";
import { openAuthorityDir } from "./tls/authority-dir.js";
import { authorityDirOf } from "./tls/fleet-security.js";
import { memberPathsIn, renewMember } from "./tls/member-dir.js";
import type { ShownCertificate } from "./tls/show-file.js";

let running: TestFleet;
let agents: readonly PlacedAgent[];
let authority: string;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
  agents = running.fleet.layout.agents.filter(({ cluster }) => cluster === "iad");
  authority = authorityDirOf(running.dir, "iad");
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

const agent = (i: number): PlacedAgent => must(agents[i], "an agent");

async function tls(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runPatina(["tls", ...args]);
  expect(status, stderr).toBe(0);
  return stdout;
}

async function shown(file: string): Promise<ShownCertificate[]> {
  return (JSON.parse(await tls("show", file, "-o", "json")) as { certificates: ShownCertificate[] }).certificates;
}

async function metric(of: PlacedAgent, line: string): Promise<number | undefined> {
  const text = await fetch(`${of.api}/metrics`).then((answer) => answer.text());
  const found = text.split("\n").find((it) => it.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
}

async function untilMetric(of: PlacedAgent, line: string, value: number): Promise<void> {
  await until(`${line} is ${value} at ${of.name}`, async () => (await metric(of, line)) === value);
}

const REACHABLE = "patina_peers_reachable";
const ALIVE = 'patina_members{state="alive"}';

async function whole(): Promise<void> {
  for (const each of agents) {
    await untilMetric(each, REACHABLE, 2);
    expect(await metric(each, ALIVE)).toBe(2);
  }
}

describe("the commands", { timeout: 60_000 }, () => {
  test("make an authority once, and another in its place only when told to; members then trust both", async () => {
    const dir = join(running.dir, "made");
    await tls("ca", dir, "--cluster", "ams");
    const modes = ["ca.key", "keyring.json", "ca.crt"].map((name) => statSync(join(dir, name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o644]);
    const [first] = await shown(join(dir, "ca.crt"));
    expect(first).toMatchObject({ kind: "authority", cluster: "ams", node: null, expired: false });
    const again = await runPatina(["tls", "ca", dir, "--cluster", "ams"]);
    expect([again.status, again.stderr.includes("--replace")]).toEqual([6, true]);
    const foreign = await runPatina(["tls", "ca", dir, "--cluster", "fra", "--replace"]);
    expect([foreign.status, await shown(join(dir, "ca.crt"))]).toEqual([2, [first]]);
    await tls("ca", dir, "--cluster", "ams", "--replace");
    const [second, old] = await shown(join(dir, "ca.crt"));
    expect([old, second?.fingerprint === old?.fingerprint]).toEqual([first, false]);
  });

  test("issue a member with everything it needs, and renew it as the same", async () => {
    const [dir, out] = [join(running.dir, "issuing"), join(running.dir, "issued")];
    await tls("ca", dir, "--cluster", "ams", "--days", "30");
    await tls("issue", "--ca", dir, "--out", out, "--role", "global", "--days", "7");
    const { cert, key, keyring, ca } = memberPathsIn(out);
    const [member] = await shown(cert);
    expect(member).toMatchObject({ kind: "member", cluster: "ams", role: "global", expired: false });
    expect(member?.node).toMatch(/^[0-9a-f]{32}$/);
    const days = (Date.parse(member?.valid_until ?? "") - Date.parse(member?.valid_from ?? "")) / 86_400_000;
    expect(Math.round(days)).toBe(7);
    expect([key, keyring].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    expect(readFileSync(ca, "utf8")).toBe(readFileSync(join(dir, "ca.crt"), "utf8"));
    expect((await runPatina(["tls", "issue", "--ca", dir, "--out", out])).status).toBe(6);
    await tls("issue", "--ca", dir, "--out", out, "--renew");
    const [renewed] = await shown(cert);
    expect([renewed?.node, renewed?.role]).toEqual([member?.node, "global"]);
    expect(renewed?.fingerprint).not.toBe(member?.fingerprint);
    expect((await runPatina(["tls", "show", key])).status).toBe(1); // Private keys stay private.
    expect((await runPatina(["tls", "issue", "--ca", dir, "--out", join(dir, "x"), "--node", "worker-1"])).status).toBe(
      2,
    );
    expect((await runPatina(["tls", "issue", "--ca", running.dir, "--out", join(dir, "x")])).status).toBe(1);
  });

  test("issue for the node that a data directory is", async () => {
    const out = join(running.dir, "known");
    await tls("issue", "--ca", authority, "--out", out, "--node-dir", agent(0).node_dir);
    const members = await new PatinaClient(agent(0).api).request<{ self: { nodeId: string } }>("/v1/members");
    expect((await shown(memberPathsIn(out).cert))[0]?.node).toBe(members.self.nodeId);
  });

  test("show a keyring without its keys, and take its steps in turn", async () => {
    const dir = join(running.dir, "rotating");
    await tls("ca", dir, "--cluster", "ams");
    const ring = join(dir, "keyring.json");
    const uses = async (): Promise<unknown> => JSON.parse(await tls("show", ring, "-o", "json"));
    expect((await runPatina(["tls", "rotate", "use", ring])).status).toBe(2);
    await tls("rotate", "install", ring);
    expect(await uses()).toEqual({ keys: [{ epoch: 1, use: "seals" }, { epoch: 2, use: "accepted" }] }); // prettier-ignore
    expect((await runPatina(["tls", "rotate", "remove", ring])).status).toBe(2);
    await tls("rotate", "use", ring);
    await tls("rotate", "remove", ring);
    expect(await uses()).toEqual({ keys: [{ epoch: 2, use: "seals" }] });
    expect(await tls("show", ring)).not.toContain(
      (JSON.parse(readFileSync(ring, "utf8")) as { keys: { key: string }[] }).keys[0]?.key,
    );
    expect(statSync(ring).mode & 0o777).toBe(0o600);
  });
});

describe("in a running fleet", { timeout: 120_000 }, () => {
  test("no region trusts another's authority, nor the global tier's", async () => {
    const fingerprints = await Promise.all(
      ["iad", "global"].map(async (cluster) => (await shown(join(authorityDirOf(running.dir, cluster), "ca.crt")))[0]),
    );
    expect(fingerprints.map((it) => it?.cluster)).toEqual(["iad", "global"]);
    for (const each of running.fleet.layout.agents) {
      const [trusted, ...more] = await shown(memberPathsIn(each.tls_dir).ca);
      expect([trusted?.cluster, more]).toEqual([each.cluster, []]);
    }
  });

  test("the key is rotated without a restart, and nobody is suspected or refused", async () => {
    await whole();
    const ring = join(authority, "keyring.json");
    for (const [step, sealing, newest] of [
      ["install", 1, 2],
      ["use", 2, 2],
      ["remove", 2, 2],
    ] as const) {
      // prettier-ignore
      await tls("rotate", step, ring);
      for (const each of agents) copyFileSync(ring, memberPathsIn(each.tls_dir).keyring);
      for (const each of agents) {
        await untilMetric(each, 'patina_key_epoch{key="newest"}', newest);
        await untilMetric(each, 'patina_key_epoch{key="sealing"}', sealing);
      }
    }
    await whole();
    for (const each of agents) {
      expect(readFileSync(each.log, "utf8")).not.toMatch(/member is (suspect|dead)/);
      expect(await fetch(`${each.api}/metrics`).then((it) => it.text())).not.toContain("patina_refused_total{");
    }
  });

  test("a certificate is renewed without a restart; files that do not fit together change nothing", async () => {
    const expires = 'patina_certificate_expires_timestamp_seconds{of="member"}';
    const before = await metric(agent(0), expires);
    const { key } = memberPathsIn(agent(0).tls_dir);
    const mine = readFileSync(key);
    writeFileSync(key, readFileSync(memberPathsIn(agent(1).tls_dir).key));
    await untilMetric(agent(0), "patina_security_files_good", 0);
    expect([await metric(agent(0), expires), await metric(agent(0), REACHABLE)]).toEqual([before, 2]);
    writeFileSync(key, mine);
    await untilMetric(agent(0), "patina_security_files_good", 1);
    await tls("issue", "--ca", authority, "--out", agent(0).tls_dir, "--renew", "--days", "700");
    await until("the new one is in use", async () => ((await metric(agent(0), expires)) ?? 0) > (before ?? 0));
    const log = (i: number): string => readFileSync(agent(i).log, "utf8");
    expect(log(1)).not.toContain("expires soon");
    await tls("issue", "--ca", authority, "--out", agent(1).tls_dir, "--renew", "--days", "29");
    await until("it says so in time", async () => log(1).includes("the certificate expires soon"));
    await whole();
  });

  test("an agent whose certificate has expired serves what it has, alone, and is back when it is renewed", async () => {
    const [lone, ...others] = [agent(2), agent(0), agent(1)];
    const { supervisor } = running.fleet;
    await renewMember(lone.tls_dir, await openAuthorityDir(authority), -1);
    await supervisor.stop(lone.name);
    supervisor.start(lone.name);
    const client = new PatinaClient(lone.api);
    const isUp = async (): Promise<boolean> => client.request("/livez", { timeoutMs: 1000 }).then(() => true, () => false); // prettier-ignore
    await until("it is up", isUp);
    await until("it is refused", async () => ((await metric(agent(0), 'patina_refused_total{transport="stream",reason="expired"}')) ?? 0) > 3); // prettier-ignore
    expect(await metric(lone, REACHABLE)).toBe(0);
    await client.transact(["INSERT INTO machines (id, app) VALUES ('lone', 'tls')"]);
    expect((await client.query("SELECT count(*) FROM machines WHERE id = 'lone'")).rows).toEqual([[1]]);
    expect(readFileSync(lone.log, "utf8")).toContain("has expired: new streams are refused");
    for (const each of others) {
      expect([await metric(each, REACHABLE), await metric(each, "patina_quarantined_changes")]).toEqual([1, 0]);
    }
    await tls("issue", "--ca", authority, "--out", lone.tls_dir, "--renew");
    await whole();
    const rows = async (): Promise<unknown> =>
      (await new PatinaClient(agent(0).api).query("SELECT id FROM machines WHERE id = 'lone'")).rows;
    await until("what it wrote is everywhere", async () => JSON.stringify(await rows()) === '[["lone"]]');
  });
});

describe("started wrongly", { timeout: 60_000 }, () => {
  const MAIN = new URL("../../../regional/dist/main.js", import.meta.url).pathname;

  async function start(change: (toml: string) => string): Promise<{ status: number; stderr: string }> {
    const path = join(running.dir, "wrong.toml");
    const toml = readFileSync(agent(0).config, "utf8");
    writeFileSync(path, change(toml.replace(agent(0).node_dir, join(running.dir, "wrong"))));
    rmSync(join(running.dir, "wrong"), { recursive: true, force: true });
    return runCommand(process.execPath, [MAIN, "--config", path]);
  }

  test.each([
    [
      "with another cluster's certificate",
      (toml: string) => toml.replaceAll("/iad/1/tls/", "/global/1/tls/"),
      "not a regional member of iad",
    ],
    [
      "with half of it",
      (toml: string) => toml.replace(/^keyring = .*$/m, ""),
      "streams are secured and datagrams are not",
    ],
    [
      "secured and plaintext at once",
      (toml: string) => toml.replace(/^keyring/m, "insecure = true\nkeyring"),
      "at once",
    ],
    ["with files that are not there", (toml: string) => toml.replace("member.key", "no.key"), "gossip.tls.key"],
    [
      "with nothing at all",
      (toml: string) => toml.replace(/^keyring = .*$/m, "").replace(/\[gossip.tls\]\n(.+\n)+/, ""),
      "nothing secures",
    ],
  ])("%s it says why and exits 78", async (_what, change, why) => {
    const { status, stderr } = await start(change);
    expect([status, stderr]).toEqual([78, expect.stringContaining(why)]);
  });

  test("on the data directory of another node than its certificate's", async () => {
    await running.fleet.supervisor.stop(agent(0).name);
    const path = join(running.dir, "swapped.toml");
    writeFileSync(path, readFileSync(agent(0).config, "utf8").replaceAll("/iad/1/tls/", "/iad/2/tls/"));
    const { status, stderr } = await runCommand(process.execPath, [MAIN, "--config", path]);
    expect([status, stderr]).toEqual([78, expect.stringContaining("the certificate is for node")]);
    running.fleet.supervisor.start(agent(0).name);
    await running.fleet.supervisor.ready();
  });
});
