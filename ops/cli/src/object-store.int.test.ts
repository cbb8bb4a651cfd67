/** Checkpoints in a real S3, as an operator meets them: what works, and with which status a command ends when not. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CephServer,
  type FaultProxy,
  hasCeph,
  startCephServer,
  startFaultProxy,
} from "@patina/checkpoint/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ran, runPatina, startTestFleet, type TestFleet } from "./testing/fleet.js";

const dir = mkdtempSync(join(tmpdir(), "patina-object-store-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("a key file is its owner's, is never overwritten, and rotating keeps the old key until it is retired", async () => {
  const file = join(dir, "key.json");
  const url = `file://${dir}/rotated`;
  const ids = (): string[] =>
    (JSON.parse(readFileSync(file, "utf8")) as { keys: { id: string }[] }).keys.map(({ id }) => id);
  expect((await runPatina(["checkpoint", "keygen", file, "--encrypt"])).status).toBe(0);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await runPatina(["checkpoint", "keygen", file])).status).toBe(2);
  const [first] = ids();
  expect((await runPatina(["checkpoint", "rotate-key", url, "--key-file", file])).status).toBe(0);
  const [second, ...older] = ids();
  expect(older).toEqual([first]);
  expect((await runPatina(["checkpoint", "rotate-key", url, "--key-file", file, "--retire"])).status).toBe(0);
  expect(ids()).toEqual([second]);
});

test("the doctor examines a directory", async () => {
  const { status, stdout } = await runPatina(["checkpoint", "doctor", `file://${dir}/doctor`, "-o", "json"]);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ level: "create-only" });
});

describe.skipIf(!hasCeph)("S3", () => {
  let ceph: CephServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    ceph = await startCephServer();
    proxy = await startFaultProxy(ceph.endpoint);
  }, 180_000);
  afterAll(async () => {
    await proxy.stop();
    await ceph.stop();
  });

  describe("an encrypted fleet's", () => {
    let it: TestFleet;
    const keyFile = join(dir, "fleet-key.json");
    beforeAll(async () => {
      await runPatina(["checkpoint", "keygen", keyFile, "--encrypt"]);
      const checkpoints = await ceph.newStoreUrl({ endpoint: proxy.endpoint });
      it = await startTestFleet(["iad"], 300, { checkpoints, checkpointKeyFile: keyFile });
    }, 180_000);
    afterAll(() => it.stop());

    test("region comes back from a checkpoint in the bucket", { timeout: 120_000 }, async () => {
      const sql = "INSERT INTO machines (id, app, worker, state) VALUES ('m1', 'hello', 'w1', 'started')";
      const wrote = await it.patina("exec", "--region", "iad", sql);
      expect(wrote, wrote.stderr).toMatchObject({ status: 0 });
      const created = await it.patina("checkpoint", "create");
      expect(created, created.stderr).toMatchObject({ status: 0 });
      expect(await it.patina("checkpoint", "verify", "latest")).toMatchObject({ status: 0 });
      const restored = await it.patina("region", "restore", "iad", "--from", "latest", "--replace");
      expect(restored, restored.stderr).toMatchObject({ status: 0 });
    });

    test("checkpoint is refused without its key, and to who has another", async () => {
      const other = join(dir, "other-key.json");
      await runPatina(["checkpoint", "keygen", other, "--encrypt"]);
      const fleet = fleetFile(it.fleet.layout.fleet.checkpoints ?? "");
      expect(await runPatina(["checkpoint", "list", "--fleet", fleet])).toMatchObject({ status: 37 });
      const wrong = fleetFile(it.fleet.layout.fleet.checkpoints ?? "", other);
      expect(await runPatina(["checkpoint", "list", "--fleet", wrong])).toMatchObject({ status: 38 });
    });

    test("agent tells of its store's trouble with the same status", { timeout: 60_000 }, async () => {
      proxy.set({ kind: "error", status: 403, code: "AccessDenied" });
      const denied = await it.patina("checkpoint", "create");
      proxy.set(undefined);
      expect(denied).toMatchObject({ status: 24, stderr: expect.stringContaining("object-store-access-denied") });
    });
  });

  test("each fault ends a command with its own status, naming store and remedy", { timeout: 120_000 }, async () => {
    const url = (profile: string): Promise<string> => ceph.newStoreUrl({ endpoint: proxy.endpoint, profile });
    proxy.set(undefined);
    const good = await url("default");
    const list = (store: string): Promise<Ran> => runPatina(["checkpoint", "list", "--fleet", fleetFile(store)]);
    const doctor = (store: string): Promise<Ran> => runPatina(["checkpoint", "doctor", store]);
    expect(await list(good)).toMatchObject({ status: 0 });
    expect(await list(await url("nobody"))).toMatchObject({ status: 20 });
    expect(await list(await url("wrong-key"))).toMatchObject({ status: 21 });
    expect(await list(await url("wrong-secret"))).toMatchObject({ status: 22 });
    expect(await list(good.replace("s3://", "s3://absent-"))).toMatchObject({ status: 25 });
    expect(await list(good.replace(/endpoint=[^&]*/, "endpoint=http://127.0.0.1:9"))).toMatchObject({ status: 29 });
    proxy.set({ kind: "error", status: 400, code: "ExpiredToken" });
    expect(await list(good)).toMatchObject({ status: 23 });
    proxy.set({ kind: "page", status: 200 });
    expect(await list(good)).toMatchObject({ status: 28 });
    expect(await doctor(good)).toMatchObject({ status: 28 });
    proxy.set({ kind: "error", status: 503, code: "SlowDown" });
    expect(await list(good)).toMatchObject({ status: 30, stderr: expect.stringContaining("in s3://") });
    proxy.set({ kind: "overwrite" }, { isHit: (method) => method === "PUT" });
    expect(await doctor(good)).toMatchObject({ status: 7, stdout: expect.stringContaining("unusable") });
    proxy.set(undefined);
    expect(await doctor(good)).toMatchObject({ status: 0 });
  });

  /** Of a fleet with one region and no agent that answers: reading checkpoints needs none. */
  function fleetFile(checkpoints: string, keyFile?: string): string {
    const path = join(dir, "fleet.json");
    const regions = { iad: [{ name: "iad-1", api: "http://127.0.0.1:9" }] };
    const key = keyFile === undefined ? {} : { checkpoint_key_file: keyFile };
    writeFileSync(path, JSON.stringify({ checkpoints, ...key, regions, global: [] }));
    return path;
  }
});
