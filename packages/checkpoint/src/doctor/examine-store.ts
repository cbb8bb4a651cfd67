/** Examines an object store by using it, in a folder of its own that it takes away again. */
import { AppError } from "@patina/base";
import type { ObjectStore } from "../object-store.js";
import { S3ObjectStore } from "../s3/s3-object-store.js";
import { examineBucket } from "./examine-bucket.js";
import { advice, bad, type Examination, good, type Level, type Probe, probe } from "./examination.js";

/** A clock further off makes the age of a claim or of rubbish wrong; S3 refuses requests from 15 minutes on. */
const SKEW_MS_MAX = 60_000;
const RACERS = 8;
const PROBE_BYTES = 64 * 1024;

export interface ExamineStore {
  readonly wallMs: () => number;
  /** Names the folder: letters and digits that nobody else uses. */
  readonly nonce: string;
}

/** Throws only when the store cannot even be asked for the time, with the code that says why. */
export async function examineStore(objects: ObjectStore, { wallMs, nonce }: ExamineStore): Promise<Examination> {
  const folder = `doctor/${nonce}/`;
  const probes = [await clock(objects, wallMs)];
  try {
    const created = await createOnly(objects, `${folder}race`);
    probes.push(created.probe);
    if (created.level !== "unusable") probes.push(...(await useStore(objects, folder)));
    if (objects instanceof S3ObjectStore) probes.push(...(await examineBucket(objects, `${folder}md5`)));
    const isBad = probes.some(({ verdict }) => verdict === "bad");
    return { store: objects.url, level: isBad ? "unusable" : created.level, probes };
  } finally {
    await removeAll(objects, folder);
  }
}

async function clock(objects: ObjectStore, wallMs: () => number): Promise<Probe> {
  const skewMs = wallMs() - (await objects.now());
  const found = `this machine is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs < 0 ? "behind" : "ahead"}`;
  return { question: "clock", ...(Math.abs(skewMs) <= SKEW_MS_MAX ? good(found) : bad(found)) };
}

async function createOnly(objects: ObjectStore, key: string): Promise<{ probe: Probe; level: Level }> {
  const question = "create-only writes";
  try {
    const writers = Array.from({ length: RACERS }, (_, i) => Buffer.from(`writer ${i}`));
    const answers = await Promise.all(writers.map((bytes) => objects.putIfAbsent(key, bytes)));
    const winners = writers.filter((_, i) => answers[i] === "created");
    const kept = Buffer.from((await objects.get(key)) ?? []);
    if (winners[0]?.equals(kept) !== true && winners.length === 1) {
      return { level: "unusable", probe: { question, ...bad("the store kept another write than it acknowledged") } };
    }
    if (objects instanceof S3ObjectStore && !objects.place.isCreateOnly) {
      const found = "switched off by create_only=0: let one writer at a time use it";
      return { level: "rendezvous-only", probe: { question, ...advice(found) } };
    }
    const found = `of ${RACERS} writers at once ${winners.length} created the object`;
    const isOne = winners.length === 1;
    return { level: isOne ? "create-only" : "unusable", probe: { question, ...(isOne ? good(found) : bad(found)) } };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { level: "unusable", probe: { question, ...bad(`${error.message}. ${error.hint ?? ""}`) } };
  }
}

async function useStore(objects: ObjectStore, folder: string): Promise<Probe[]> {
  const key = `${folder}object`;
  const bytes = Buffer.alloc(PROBE_BYTES, folder);
  return [
    await probe("read after write", async () => {
      await objects.putIfAbsent(key, bytes);
      const got = await objects.get(key);
      return got !== undefined && bytes.equals(got)
        ? good(`${PROBE_BYTES} bytes came back`)
        : bad("other bytes came back");
    }),
    await probe("list after write", async () => {
      const found = (await objects.list(folder)).find((object) => object.key === key);
      return found?.bytes === bytes.length
        ? good("the object is listed")
        : bad("the object is not listed, or not its size");
    }),
    await probe("what is absent", async () => {
      const got = [await objects.get(`${folder}absent`), await objects.head(`${folder}absent`)];
      return got.every((each) => each === undefined) ? good("is told to be absent") : bad("is told to be there");
    }),
    await probe("delete", () => deletes(objects, key)),
  ];
}

/** Without the right to delete a store is a writer's, which is how it should be where another identity prunes. */
async function deletes(objects: ObjectStore, key: string): Promise<Omit<Probe, "question">> {
  try {
    await objects.delete(key);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "object-store-access-denied") throw error;
    return advice("not allowed: another identity must prune, and take away doctor/");
  }
  return (await objects.get(key)) === undefined
    ? good("a deleted object is gone")
    : bad("a deleted object is still there");
}

async function removeAll(objects: ObjectStore, folder: string): Promise<void> {
  try {
    for (const { key } of await objects.list(folder)) await objects.delete(key);
  } catch (error) {
    // Either the store is unusable, or ours is a writer's identity: both have been told as a probe's answer.
    if (!(error instanceof AppError)) throw error;
  }
}
