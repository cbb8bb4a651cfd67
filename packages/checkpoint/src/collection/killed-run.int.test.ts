/** A run of collection that is really killed, in a process of its own and on a real disk, wherever it is just then. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { listCheckpoints } from "../manifest/catalog.js";
import { FileObjectStore } from "../file/file-object-store.js";
import { trashPrefix } from "../manifest/keys.js";
import { recordProof } from "../proof/proof.js";
import { takeCheckpoint } from "../taking/take.js";
import { sampleFacts, writeSampleImage } from "../testing/sample.js";
import { verifyCheckpoint } from "../restoring/verify.js";
import { prune } from "./prune.js";

const dir = mkdtempSync(join(tmpdir(), "patina-killed-run-"));
afterAll(() => rmSync(dir, { recursive: true }));

const DAY = 86_400_000;
const GOING = 4;
const built = pathToFileURL(join(import.meta.dirname, "../../dist/index.js")).href;

/** Kills itself in the middle of the given deletion. */
const childKilledAt = (deletion: number, directory: string): string => `
  import { FileObjectStore, prune } from ${JSON.stringify(built)};
  const objects = new FileObjectStore(${JSON.stringify(directory)});
  const remove = objects.delete.bind(objects);
  let deletions = 0;
  objects.delete = async (key) => {
    const deleted = remove(key);
    if (++deletions === ${deletion}) process.kill(process.pid, "SIGKILL");
    await deleted;
  };
  await prune({ objects, cluster: "iad", policy: "short", noted: [], by: "child", isDryRun: false, force: true });
`;

/** Nine bases, of which four go, a day apart; and everything in the store is older than a day. */
async function storeIn(directory: string): Promise<FileObjectStore> {
  const objects = new FileObjectStore(directory);
  const nowMs = await objects.now();
  for (let day = 9; day >= 1; day--) {
    const path = join(dir, "image");
    await writeSampleImage(path, 20_000, day);
    const facts = sampleFacts({ takenAtMs: Math.floor(nowMs / DAY - day) * DAY });
    const { id } = await takeCheckpoint({ objects, cluster: "iad", path, facts, limits: { chunkBytes: 16_384 } });
    const proof = {
      base: id,
      checkpoint: id,
      atMs: facts.takenAtMs,
      by: "n",
      tookMs: 1,
      bytes: 1,
      rows: 1,
      sampled: 0,
    };
    await recordProof(objects, { fmt: 1, cluster: "iad", ...proof });
  }
  ageFiles(directory, nowMs - 1.5 * DAY);
  return objects;
}

/** The store's clock is the machine's, so it is the files that are made older. */
function ageFiles(directory: string, toMs: number): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), toMs / 1000, toMs / 1000);
  }
}

/** Whether it was killed before it was done. */
async function killAt(deletion: number, directory: string): Promise<boolean> {
  const script = childKilledAt(deletion, directory);
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  if (signal === null) expect(code).toBe(0);
  return signal === "SIGKILL";
}

test("leaves whole checkpoints, and the next run finishes what it began", { timeout: 120_000 }, async () => {
  let killed = 0;
  for (let deletion = 1; killed === Math.ceil((deletion - 1) / 2); deletion += 2) {
    const directory = join(dir, `store-${deletion}`);
    const objects = await storeIn(directory);
    const run = {
      objects,
      cluster: "iad",
      policy: "short",
      noted: [],
      by: "test",
      isDryRun: false,
      force: true,
    } as const;
    expect((await prune(run)).marked).toMatchObject({ manifests: GOING });
    ageFiles(directory, (await objects.now()) - 1.4 * DAY);
    if (await killAt(deletion, directory)) killed++;
    for (const { id } of await listCheckpoints(objects, "iad")) {
      expect((await verifyCheckpoint(objects, "iad", id, { data: true })).findings).toEqual([]);
    }
    await prune(run);
    expect(await listCheckpoints(objects, "iad")).toHaveLength(9 - GOING);
    expect((await objects.list("v1/iad/img/")).length).toBe(2 * (9 - GOING));
    expect(await objects.list(trashPrefix("iad"))).not.toEqual([]);
  }
  expect(killed).toBeGreaterThanOrEqual((GOING + 2 * GOING) / 2);
});
