/** Hand-overs as requests: every way to name a row, and nothing else. */
import { AppError, type Handoff, type Write } from "@patina/base";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { addHandoffRoutes } from "./handoff-routes.js";
import type { OwnersPort } from "./ports.js";
import { problemResponse } from "./problem.js";

const asked: Handoff[] = [];
const owners: OwnersPort = {
  worker: "w",
  ownership: (table) => (table === "gone" ? undefined : { owner: "v", epoch: 4 }),
  conflicts: () => ({
    doubtful: [{ kind: "doubtful", table: "t", key: [1n, "x"], epoch: 2, owner: undefined, other: "w" }],
    fenced: [{ kind: "fenced", table: "t", key: ["m"], origin: "o", version: 7, owner: "v", epoch: 3, isOurs: true }],
  }),
};
const app = new Hono();
app.onError((thrown) => problemResponse(thrown));
const write = async (it: Write) => {
  if (it.kind !== "handoffs") throw new Error("no hand-over");
  asked.splice(0, asked.length, ...it.handoffs);
  const error = new AppError("not-owner", "it is v's", { details: { table: "t", owner: "v" } });
  if (it.handoffs.some(({ table }) => table === "theirs")) return { ok: false, error } as const;
  const rows = it.handoffs.map(({ table }) => ({ table, key: [1n], kind: "upsert", appBefore: undefined, app: undefined }) as const); // prettier-ignore
  return { ok: true, rowsAffected: [rows.length], change: undefined, rows } as const;
};
addHandoffRoutes(app, { origin: "o", write }, owners);

async function post(body: unknown): Promise<{ status: number; json: unknown }> {
  const answer = await app.request("/v1/handoffs", { method: "POST", body: JSON.stringify(body) });
  return { status: answer.status, json: await answer.json() };
}

test("a row is named by a value, by the values of its key in order, or by column; one or many at once", async () => {
  const { json } = await post([
    { table: "t", key: "m", to: "v" },
    { table: "t", key: [1, "x"], to: "v" },
    { table: "gone", key: { a: 1 }, claim: true },
  ]);
  expect(asked).toEqual([
    { table: "t", key: ["m"], to: "v" },
    { table: "t", key: [1n, "x"], to: "v" },
    { table: "gone", key: { a: 1n }, to: undefined },
  ]);
  const rows = [{ table: "t", key: [1], owner: "v", epoch: 4 }, { table: "t", key: [1], owner: "v", epoch: 4 }, { table: "gone", key: [1], owner: null, epoch: null }]; // prettier-ignore
  expect(json).toEqual({ rows, version: null, actor_id: "o" });
});

test("anything else is refused before it is tried", async () => {
  const row = { table: "t", key: "m" };
  const bad = [row, { ...row, to: "" }, { ...row, claim: false }, { ...row, to: "v", claim: true }, { ...row, key: [], to: "v" }, { ...row, key: null, to: "v" }, [], "m"]; // prettier-ignore
  for (const body of bad) expect(await post(body)).toMatchObject({ status: 400, json: { code: "bad-request" } });
});

test("what is another's is a conflict that names the owner", async () => {
  const refused = await post({ table: "theirs", key: "m", to: "v" });
  expect(refused).toMatchObject({ status: 409, json: { code: "not-owner", owner: "v" } });
});

test("what was found about owners is told with names, nobody as null", async () => {
  expect(await (await app.request("/v1/handoffs")).json()).toEqual({
    worker: "w",
    counts: { doubtful: 1, fenced: 1 },
    doubtful: [{ table: "t", key: [1, "x"], epoch: 2, owner: null, other: "w" }],
    fenced: [{ table: "t", key: ["m"], version: 7, owner: "v", epoch: 3 }],
  });
});
