/** The suite of every object store on a real S3 server, and each fault that can lie between us and it. */
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { examineStore } from "../doctor/examine-store.js";
import { openObjectStore } from "../open-object-store.js";
import type { ObjectStore } from "../object-store.js";
import { OBJECT_STORE_CASES } from "../testing/object-store-suite.js";
import { type CephServer, hasCeph, startCephServer } from "../testing/s3/ceph-server.js";
import { type Fault, type FaultProxy, startFaultProxy } from "../testing/s3/fault-proxy.js";
import type { S3Limits } from "./s3-limits.js";

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

  /** Patient, so that a busy machine is no fault; impatient only where silence is what is tested. */
  const PATIENT: Partial<S3Limits> = { idleMs: 10_000, operationMs: 25_000, attempts: 2 };
  const open = (url: string, fault?: Fault): ObjectStore => {
    const isSilent = fault?.kind === "hang" || fault?.kind === "stall";
    return openObjectStore(url, { wallMs: Date.now, s3Limits: isSilent ? { ...PATIENT, idleMs: 500 } : PATIENT });
  };
  const x = Buffer.from("x".repeat(1000));

  describe("an object store in a bucket", () => {
    for (const { sentence, run } of OBJECT_STORE_CASES) {
      test(sentence, async () => run(openObjectStore(await ceph.newStoreUrl(), { wallMs: Date.now })));
    }

    test("a list goes on over pages", { timeout: 60_000 }, async () => {
      const store = openObjectStore(await ceph.newStoreUrl());
      const keys = Array.from({ length: 1050 }, (_, i) => `many/${String(i).padStart(5, "0")}`);
      await Promise.all(keys.map((key) => store.putIfAbsent(key, x)));
      expect((await store.list("many/")).map(({ key }) => key)).toEqual(keys);
    });
  });

  describe("each reason has its own code, and the message names object and store", () => {
    test.each([
      ["wrong-key", "object-store-key-unknown"],
      ["wrong-secret", "object-store-secret-wrong"],
      ["nobody", "object-store-no-credentials"],
    ])("profile %s", async (profile, code) => {
      const store = open(await ceph.newStoreUrl({ profile }));
      await rejectsAll(store, code);
    });

    test("a bucket that is not there", async () => {
      const url = await ceph.newStoreUrl();
      await rejectsAll(open(url.replace("s3://patina-", "s3://absent-")), "object-store-bucket-absent");
    });

    test("nobody listens", async () => {
      await rejectsAll(open("s3://bucket?endpoint=http://127.0.0.1:9"), "object-store-unreachable");
    });

    test("TLS where there is none, and no HTTP at all", async () => {
      await rejectsAll(
        open(`s3://bucket?endpoint=${proxy.endpoint.replace("http:", "https:")}`),
        "object-store-unreachable",
      );
      const server = createServer((socket) => {
        socket.on("error", () => socket.destroy()).resume();
        socket.end("SSH-2.0-OpenSSH_9.2\r\n");
      });
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      await rejectsAll(open(`s3://bucket?endpoint=http://127.0.0.1:${port}`), "object-store-not-s3");
      await new Promise((resolve) => server.close(resolve));
    });

    test("a quota that is used up", async () => {
      const url = await ceph.newStoreUrl();
      const store = open(url);
      await store.putIfAbsent("a", x);
      await ceph.admin("quota", "set", "--quota-scope=bucket", "--uid=tests", "--max-objects=1");
      await ceph.admin("quota", "enable", "--quota-scope=bucket", "--uid=tests");
      try {
        const fills = async (): Promise<void> => {
          for (let i = 0; i < 50; i++) await store.putIfAbsent(`b/${i}`, x);
        };
        await expect(fills()).rejects.toMatchObject({ code: "object-store-full" });
      } finally {
        await ceph.admin("quota", "disable", "--quota-scope=bucket", "--uid=tests");
      }
    });
  });

  type Operation = "put" | "get" | "head" | "list" | "delete" | "now";
  const ALL: readonly Operation[] = ["put", "get", "head", "list", "delete", "now"];
  const BODIES: readonly Operation[] = ["get", "list", "now"];
  const answered = (status: number, code: string): Fault => ({ kind: "error", status, code });
  const ANOTHER_API: Fault = { kind: "page", status: 200, type: "application/json", text: '{"hello": "there"}' };
  const LASTING: readonly (readonly [string, Fault, string, readonly Operation[]])[] = [
    ["SlowDown", answered(503, "SlowDown"), "object-store-throttled", ALL],
    ["access denied", answered(403, "AccessDenied"), "object-store-access-denied", ALL],
    ["expired credentials", answered(400, "ExpiredToken"), "object-store-credentials-expired", ALL],
    ["another region", answered(301, "PermanentRedirect"), "object-store-region", ALL],
    ["no room", answered(507, "InsufficientStorage"), "object-store-full", ["put"]],
    ["no preconditions", answered(501, "NotImplemented"), "object-store-unsupported", ["put"]],
    ["a login page", { kind: "page", status: 200 }, "object-store-not-s3", ALL],
    ["another API", ANOTHER_API, "object-store-not-s3", ["put", "get", "head", "list", "now"]],
    ["a page that says 404", { kind: "page", status: 404 }, "object-store-not-s3", ALL],
    ["a gateway's 502", { kind: "page", status: 502 }, "object-store-unreachable", ALL],
    ["reset", { kind: "reset" }, "object-store-unreachable", ALL],
    ["hang", { kind: "hang" }, "object-store-timeout", ALL],
    ["stall", { kind: "stall" }, "object-store-timeout", BODIES],
    ["cut short", { kind: "truncate" }, "object-store-truncated", ["get"]],
    ["one bit of the answer", { kind: "flip" }, "object-store-corrupt", ["get"]],
    ["one bit of the request", { kind: "flip-request" }, "object-store-corrupt", ["put"]],
    ["writes that overwrite", { kind: "overwrite" }, "object-store-not-create-only", ["put"]],
  ];

  describe("a fault that lasts", () => {
    const cases = LASTING.flatMap(([what, fault, code, operations]) =>
      operations.map((operation) => ({ what, fault, code, operation })),
    );
    test.each(cases)("$what: $operation is $code, and nothing has changed", async ({ fault, code, operation }) => {
      const url = await ceph.newStoreUrl({ endpoint: proxy.endpoint });
      proxy.set(undefined);
      const store = open(url);
      await store.putIfAbsent("there", x);
      // What a store does with a second write is found out by the first write of a process.
      const spoiled = open(url, fault);
      if (fault.kind !== "overwrite") await spoiled.putIfAbsent("there", x);
      proxy.set(fault);
      const thrown = await caught(perform(spoiled, operation));
      proxy.set(undefined);
      expect(thrown).toMatchObject({ code, hint: expect.stringMatching(/\w/), details: { store: url } });
      expect(await store.list("")).toMatchObject([{ key: "there", bytes: x.length }]);
      expect(Buffer.from((await store.get("there")) ?? []).equals(x)).toBe(true);
    });

    test("a clock that is wrong is told by how much", async () => {
      const store = open(await ceph.newStoreUrl({ endpoint: proxy.endpoint }));
      proxy.set({ ...answered(403, "RequestTimeTooSkewed"), dateMs: Date.now() - 3_600_000 } as Fault);
      const thrown = await caught(store.get("a"));
      expect(thrown).toMatchObject({ code: "object-store-clock", message: expect.stringMatching(/by 360[01] s/) });
    });
  });

  describe("a fault that passes is not noticed", () => {
    const PASSING: readonly (readonly [string, Fault, readonly Operation[]])[] = [
      ["SlowDown", answered(503, "SlowDown"), ALL],
      ["an error inside", answered(500, "InternalError"), ALL],
      ["reset", { kind: "reset" }, ALL],
      ["hang", { kind: "hang" }, ALL],
      ["cut short", { kind: "truncate" }, ["get"]],
      ["one bit of the answer", { kind: "flip" }, ["get"]],
    ];
    const cases = PASSING.flatMap(([what, fault, operations]) =>
      operations.map((operation) => ({ what, fault, operation })),
    );
    test.each(cases)("$what: $operation", async ({ fault, operation }) => {
      const store = open(await ceph.newStoreUrl({ endpoint: proxy.endpoint }), fault);
      proxy.set(undefined);
      await store.putIfAbsent("there", x);
      proxy.set(fault, { times: 1 });
      await perform(store, operation);
      proxy.set(undefined);
      if (operation === "put") expect((await store.head("new"))?.bytes).toBe(x.length);
    });

    test("a create whose answer is lost is ours", async () => {
      const store = open(await ceph.newStoreUrl({ endpoint: proxy.endpoint }));
      proxy.set(undefined);
      await store.putIfAbsent("first", x);
      proxy.set({ kind: "lost-answer" }, { times: 1 });
      expect(await store.putIfAbsent("a", x)).toBe("created");
      proxy.set({ kind: "lost-answer" }, { times: 1 });
      expect(await store.putIfAbsent("a", Buffer.from("another's"))).toBe("exists");
      expect(Buffer.from((await store.get("a")) ?? []).equals(x)).toBe(true);
    });

    test("two that write at once: the one that is told so writes again", async () => {
      const store = open(await ceph.newStoreUrl({ endpoint: proxy.endpoint }));
      proxy.set(undefined);
      await store.putIfAbsent("first", x);
      proxy.set(answered(409, "ConditionalRequestConflict"), { times: 1 });
      expect(await store.putIfAbsent("a", x)).toBe("created");
    });
  });

  test("a store that knows no preconditions is used when its URL says so", async () => {
    const store = open(`${await ceph.newStoreUrl()}&create_only=0`);
    expect(await store.putIfAbsent("a", x)).toBe("created");
    expect(await store.putIfAbsent("a", Buffer.from("other"))).toBe("exists");
  });

  test("the doctor finds all it needs, says what is not set up, and leaves nothing", async () => {
    const store = open(await ceph.newStoreUrl());
    const { level, probes } = await examineStore(store, { wallMs: Date.now, nonce: "0123" });
    expect(level).toBe("create-only");
    const verdicts = new Map(probes.map(({ question, verdict }) => [question, verdict]));
    expect(verdicts.get("checks Content-MD5")).toBe("good");
    expect(verdicts.get("versioning")).toBe("advice");
    expect(probes.filter(({ verdict }) => verdict === "bad")).toEqual([]);
    expect(await store.list("")).toEqual([]);
  });

  test("the doctor calls a store unusable that overwrites, or knows no preconditions", async () => {
    const isPut = (method: string): boolean => method === "PUT";
    for (const fault of [{ kind: "overwrite" } as const, answered(501, "NotImplemented")]) {
      const store = open(await ceph.newStoreUrl({ endpoint: proxy.endpoint }));
      proxy.set(fault, { isHit: isPut });
      expect((await examineStore(store, { wallMs: Date.now, nonce: "0123" })).level).toBe("unusable");
      proxy.set(undefined);
    }
  });

  function perform(store: ObjectStore, operation: Operation): Promise<unknown> {
    const calls: Record<Operation, () => Promise<unknown>> = {
      put: () => store.putIfAbsent("new", x),
      get: () => store.get("there"),
      head: () => store.head("there"),
      list: () => store.list(""),
      delete: () => store.delete("absent"),
      now: () => store.now(),
    };
    return calls[operation]();
  }

  async function rejectsAll(store: ObjectStore, code: string): Promise<void> {
    for (const operation of ALL) {
      const thrown = await caught(perform(store, operation));
      expect(thrown, operation).toMatchObject({ code, message: expect.stringContaining(store.url) });
    }
  }

  async function caught(promise: Promise<unknown>): Promise<unknown> {
    try {
      return await promise;
    } catch (error) {
      return error;
    }
  }
});
