/** A member that was given up starts over with an empty database, keeps the old one, and catches up. */
import { readdirSync } from "node:fs";
import { must } from "@patina/base";
import { PatinaClient } from "@patina/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestsOf, isEqual } from "./fleet/settle.js";
import { startTestFleet, type TestFleet, until } from "./testing/fleet.js";

let running: TestFleet;

beforeAll(async () => {
  running = await startTestFleet(["iad"]);
}, 90_000);

afterAll(async () => {
  await running.stop();
}, 60_000);

interface Members {
  readonly self: { readonly nodeId: string };
  readonly members: readonly { readonly nodeId: string; readonly state: string }[];
}

test("patina members evict, and the return of the evicted", { timeout: 90_000 }, async () => {
  const agents = must(running.fleet.layout.fleet.regions["iad"], "iad");
  const [first, , third] = agents.map(({ api }) => new PatinaClient(api));
  const victim = must(agents[2], "an agent");
  await must(first, "a client").transact(["INSERT INTO machines (id, app, state) VALUES ('1', 'web', 'started')"]);
  await until("all are equal", async () => isEqual(await digestsOf("iad", agents)));
  const before = await must(third, "a client").request<{ holdings: object } & Members>("/v1/digest");
  const { self } = await must(third, "a client").request<Members>("/v1/members");

  const alive = await running.patina("members", "evict", self.nodeId.slice(0, 12), "--region", "iad");
  expect([alive.status, alive.stderr]).toEqual([2, expect.stringContaining("is alive")]);
  const which = await running.patina("members", "evict", "", "--region", "iad");
  expect([which.status, which.stderr]).toEqual([2, expect.stringContaining("2 members of iad begin with")]);
  await running.fleet.supervisor.kill(victim.name);
  await until("it is dead", async () => {
    const { members } = await must(first, "a client").request<Members>("/v1/members");
    return members.find(({ nodeId }) => nodeId === self.nodeId)?.state === "dead";
  });
  const evicted = await running.patina("members", "evict", self.nodeId.slice(0, 12), "--region", "iad");
  expect([evicted.status, evicted.stdout]).toEqual([0, `iad gave up ${self.nodeId}\n`]);
  const again = await running.patina("members", "evict", self.nodeId, "--region", "iad");
  expect([again.status, again.stderr]).toEqual([3, expect.stringContaining("member-unknown")]);

  running.fleet.supervisor.start(victim.name);
  await until("it has put its database aside", async () =>
    Promise.resolve(
      readdirSync(must(victim.node_dir, "a directory")).some((name) => name.startsWith("state.abandoned-")),
    ),
  );
  await running.fleet.supervisor.ready();
  await until("it is equal again", async () => isEqual(await digestsOf("iad", agents)));
  const after = await must(third, "a client").request<{ holdings: object }>("/v1/digest");
  const ownOf = ({ holdings }: { holdings: object }) =>
    Object.keys(holdings).filter((it) => it.startsWith(self.nodeId));
  expect(ownOf(after).length).toBe(ownOf(before).length + 1); // Another database of the same node.
  const { rows } = await must(third, "a client").query("SELECT id FROM machines");
  expect(rows).toEqual([["1"]]);
});
