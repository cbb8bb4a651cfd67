/** Loads as requests: one that stalls is given up, and there are only so many at a time. */
import { AppError, type Write, type WriteOutcome } from "@patina/base";
import { Hono } from "hono";
import { expect, test } from "vitest";
import { defaultBulkLimits } from "./bulk-load.js";
import { addObjectRoutes, type ObjectsPort } from "./object-routes.js";
import { problemResponse } from "./problem.js";

const URL = "http://agent/v1/tables/t/rows";
const STREAM = { "content-type": "application/x-ndjson; charset=utf-8" };

function routes(limits: Partial<typeof defaultBulkLimits>): Hono {
  const app = new Hono();
  app.onError((thrown) => problemResponse(thrown));
  const agent: ObjectsPort = {
    origin: "o",
    object: () => undefined,
    write: async (write: Write): Promise<WriteOutcome> => {
      const count = write.kind === "rows" ? write.rows.length : 0;
      if (count === 0) throw new AppError("bad-request", "no rows");
      return { ok: true, rowsAffected: [count], change: undefined, rows: [] };
    },
  };
  addObjectRoutes(app, agent, { ...defaultBulkLimits, ...limits });
  return app;
}

/** A body that says `text` and then nothing more, until it is ended. */
function stalling(text: string): { body: ReadableStream<Uint8Array>; end: () => void } {
  let end = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(Buffer.from(text));
      end = () => controller.close();
    },
  });
  return { body, end };
}

const put = (app: Hono, body: RequestInit["body"]): Promise<Response> =>
  Promise.resolve(app.request(URL, { method: "PUT", headers: STREAM, body, duplex: "half" } as RequestInit));

test("a load that stalls is given up after a while, and whole slices of it are in", async () => {
  const app = routes({ idleMs: 20, sliceRowsMax: 2 });
  const answer = await put(app, stalling('{"id":1}\n{"id":2}\n{"id":3}\n').body);
  expect(await answer.json()).toMatchObject({ status: 408, code: "load-cut-off", committed_lines: 2, rows_read: 2 });
});

test("a load beyond the limit is refused, and taken once another has ended, however that ended", async () => {
  const app = routes({ loadsMax: 1 });
  for (const rest of ["", "no json"]) {
    const { body, end } = stalling(`{"id":1}\n${rest}`);
    const first = put(app, body);
    expect(await (await put(app, '{"id":2}')).json()).toMatchObject({ status: 429, code: "too-many" });
    end();
    expect((await first).status).toBe(rest === "" ? 200 : 400);
  }
  expect(await (await put(app, '{"id":2}')).json()).toMatchObject({ committed_lines: 1, rows_read: 1 });
});

test("an empty stream, and one of blank lines, load nothing and say so", async () => {
  const app = routes({});
  expect(await (await put(app, "")).json()).toMatchObject({ committed_lines: 0, rows_read: 0, version: null });
  expect(await (await put(app, "\n \r\n")).json()).toMatchObject({ committed_lines: 2, rows_read: 0 });
});
