/** Checkpoints in a real S3 server against the bare SDK, which sends and fetches the same bytes and checks nothing. */
import { readFile, rm } from "node:fs/promises";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { must } from "@patina/base";
import {
  type CheckpointFacts,
  DEFAULT_LIMITS,
  fetchContent,
  type Manifest,
  manifestHoldings,
  openObjectStore,
  takeCheckpoint,
} from "@patina/checkpoint";
import { type CephServer, hasCeph, startCephServer } from "@patina/checkpoint/testing";
import { type Figure, figure } from "../report.js";
import { interleave, type RoundOptions, secondsOf } from "../rounds.js";

interface Subject {
  readonly imagePath: string;
  readonly manifest: Manifest;
  /** The files of the image's chunks, packed. */
  readonly chunkPaths: readonly string[];
}

/** Nothing where Ceph is not installed. */
export async function s3Figures(subject: Subject, rounds: RoundOptions): Promise<Figure[]> {
  if (!hasCeph) return [];
  const server = await startCephServer();
  try {
    return await measure(server, subject, rounds);
  } finally {
    await server.stop();
  }
}

async function measure(server: CephServer, subject: Subject, rounds: RoundOptions): Promise<Figure[]> {
  const { imagePath, manifest, chunkPaths } = subject;
  const chunks = await Promise.all(chunkPaths.map((path) => readFile(path)));
  const bare = openBare(await server.newStoreUrl(), server.endpoint);
  const objects = openObjectStore(await server.newStoreUrl());
  const take = (cluster: string): Promise<Manifest> =>
    takeCheckpoint({ objects, cluster, path: imagePath, facts: factsOf(manifest) });
  const taken = await take("taken");
  await bare.put("taken", chunks);
  const seconds = await interleave(
    {
      put: (round) => secondsOf(() => bare.put(`round-${round}`, chunks)),
      get: () => secondsOf(() => bare.get("taken", chunks.length)),
      upload: (round) => secondsOf(() => take(`round-${round}`)),
      fetch: async () => {
        const path = `${imagePath}.fetched`;
        const took = await secondsOf(() => fetchContent(objects, taken, path));
        await rm(path);
        return took;
      },
    },
    rounds,
  );
  const rate = (name: string, values: readonly number[]) => {
    return { name, unit: "MB/s", values: values.map((each) => manifest.content.bytes / 1e6 / each) };
  };
  const put = rate("bare SDK, PUT of the packed chunks", seconds.put);
  const get = rate("bare SDK, GET of the packed chunks", seconds.get);
  return [
    figure(put),
    figure(rate("upload to s3:// (and read, hash, pack)", seconds.upload), { versus: put, better: "more" }),
    figure(get),
    figure(rate("fetch from s3:// (and unpack, check, fsync)", seconds.fetch), { versus: get, better: "more" }),
  ];
}

function factsOf(manifest: Manifest): CheckpointFacts {
  const { level, parent, generation, takenAtMs, by, app, schema, hlc, digest, tables } = manifest;
  return {
    level,
    parent,
    generation,
    takenAtMs,
    by,
    app,
    schema,
    hlc: BigInt(hlc),
    digest,
    tables,
    holdings: manifestHoldings(manifest),
  };
}

/** As many requests at once as a checkpoint has in flight. */
function openBare(url: string, endpoint: string) {
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true });
  const Bucket = new URL(url).hostname;
  const inLanes = async (count: number, work: (index: number) => Promise<unknown>): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) await work(index);
    };
    await Promise.all(Array.from({ length: DEFAULT_LIMITS.concurrency }, lane));
  };
  const put = (folder: string, chunks: readonly Buffer[]): Promise<void> =>
    inLanes(chunks.length, (i) =>
      client.send(new PutObjectCommand({ Bucket, Key: `${folder}/${i}`, Body: must(chunks[i], "a chunk") })),
    );
  const get = (folder: string, count: number): Promise<void> =>
    inLanes(count, async (i) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `${folder}/${i}` }));
      await must(Body, "a body").transformToByteArray();
    });
  return { put, get };
}
