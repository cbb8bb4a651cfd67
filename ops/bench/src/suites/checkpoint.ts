/**
 * Checkpoints against what their bytes cost at least: an image and an upload against copying the file and flushing it,
 * a restore against reading, unpacking, writing and flushing the same chunks with nobody checking anything.
 */
import { copyFile, open, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Holding, holdAlso, must, NO_HOLDING, originNode, type OriginId, Ranges } from "@patina/base";
import { fetchContent, FileObjectStore, type Manifest, takeCheckpoint } from "@patina/checkpoint";
import { systemNow } from "@patina/runtime";
import { adoptImage, type ImageFacts, takeImage } from "@patina/store";
import Database from "better-sqlite3";
import { CLUSTER, loadStore, openStore } from "../databases.js";
import { Machines } from "../machines.js";
import { type Figure, figure } from "../report.js";
import { interleave, secondsOf, type Turn } from "../rounds.js";
import { unpackDurably } from "./checkpoint-floor.js";
import { s3Figures } from "./checkpoint-s3.js";
import type { SuiteOptions } from "./suite.js";

const FULL = { rows: 100_000, rounds: 5 };
const QUICK = { rows: 10_000, rounds: 3 };

/** A database, its image, and a checkpoint of it in an object store. */
interface Subject {
  readonly dir: string;
  readonly databasePath: string;
  readonly imagePath: string;
  readonly facts: ImageFacts;
  readonly origin: OriginId;
  readonly objects: FileObjectStore;
  readonly manifest: Manifest;
  /** The files of the image's chunks, in order. */
  readonly chunkPaths: readonly string[];
}

export async function checkpointSuite({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { rows, rounds } = isQuick ? QUICK : FULL;
  const subject = await prepareSubject(dir, new Machines(rows, rng.fork()));
  const megabytes = subject.manifest.content.bytes / 1e6;
  const seconds = await interleave(turnsOf(subject), { rounds, rng });
  const rate = (name: string, values: readonly number[]) => {
    return { name, unit: "MB/s", values: values.map((each) => megabytes / each) };
  };
  const copy = rate("bare copy and fsync", seconds.copy);
  const unpack = rate("bare read, unpack, write and fsync", seconds.unpack);
  const quickCheck = { name: "bare quick_check", unit: "s", values: seconds.quickCheck };
  return [
    figure({ name: `image of ${rows.toLocaleString("en-US")} rows`, unit: "MB", values: [megabytes] }),
    figure(copy),
    figure(rate("take image", seconds.take), { versus: copy, better: "more" }),
    figure(rate("upload to file://", seconds.upload), { versus: copy, better: "more" }),
    figure(unpack),
    figure(rate("fetch image", seconds.fetch), { versus: unpack, better: "more", goal: { of: "ratio", atLeast: 0.5 } }),
    figure(quickCheck),
    figure(
      { name: "adopt image (every check)", unit: "s", values: seconds.adopt },
      { versus: quickCheck, better: "less" },
    ),
    ...(await s3Figures(subject, { rounds, rng })),
  ];
}

async function prepareSubject(dir: string, machines: Machines): Promise<Subject> {
  const databasePath = join(dir, "state.db");
  const store = openStore(databasePath);
  loadStore(store, machines);
  store.close();
  const imagePath = join(dir, "image.db");
  const facts = takeImage(databasePath, imagePath);
  const objectsDir = join(dir, "objects");
  const objects = new FileObjectStore(objectsDir);
  const manifest = await upload(objects, imagePath, facts, store.origin);
  const pathsById = new Map<string, string>();
  for (const path of await readdir(objectsDir, { recursive: true }))
    pathsById.set(basename(path), join(objectsDir, path));
  const chunkPaths = manifest.content.chunks.map(({ id }) => must(pathsById.get(id), "a chunk's file"));
  return { dir, databasePath, imagePath, facts, origin: store.origin, objects, manifest, chunkPaths };
}

type TurnName = "copy" | "take" | "upload" | "unpack" | "fetch" | "quickCheck" | "adopt";

/** Every turn answers in seconds, and removes what it wrote. */
function turnsOf({ dir, databasePath, imagePath, facts, origin, objects, manifest, chunkPaths }: Subject) {
  const writing = (name: string, work: (path: string) => unknown): Turn<number> => {
    return async () => {
      const path = join(dir, name);
      const taken = await secondsOf(() => work(path));
      await rm(path, { recursive: true });
      return taken;
    };
  };
  const turns: Record<TurnName, Turn<number>> = {
    copy: writing("copied.db", (path) => copyDurably(imagePath, path)),
    take: writing("taken.db", (path) => takeImage(databasePath, path)),
    upload: writing("uploaded", (path) => upload(new FileObjectStore(path), imagePath, facts, origin)),
    unpack: writing("unpacked.db", (path) =>
      unpackDurably(manifest, async (i) => readFile(must(chunkPaths[i], "a chunk")), path),
    ),
    fetch: writing("fetched.db", (path) => fetchContent(objects, manifest, path)),
    quickCheck: () => secondsOf(() => quickCheck(imagePath)),
    adopt: async () => {
      const path = join(dir, "adopted.db");
      await copyFile(imagePath, path);
      const taken = await secondsOf(() =>
        adoptImage(path, { cluster: CLUSTER.name, digest: facts.digest, generation: 2 }),
      );
      await rm(path);
      return taken;
    },
  };
  return turns;
}

async function upload(
  objects: FileObjectStore,
  imagePath: string,
  image: ImageFacts,
  origin: OriginId,
): Promise<Manifest> {
  const holdings = Object.entries(image.holdings).map(([writer, held]): [OriginId, Holding] => {
    return [writer, holdAlso(NO_HOLDING, Ranges.parse(held))];
  });
  const facts = {
    generation: image.generation,
    takenAtMs: systemNow().wallMs,
    level: "base" as const,
    parent: null,
    by: { node: originNode(origin), origin },
    app: "bench",
    schema: image.schema,
    holdings: new Map(holdings),
    hlc: BigInt(image.hlc),
    digest: image.digest,
    tables: image.tables,
  };
  return takeCheckpoint({ objects, cluster: CLUSTER.name, path: imagePath, facts });
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function quickCheck(path: string): void {
  const db = new Database(path, { readonly: true });
  try {
    db.pragma("quick_check(1)");
  } finally {
    db.close();
  }
}
