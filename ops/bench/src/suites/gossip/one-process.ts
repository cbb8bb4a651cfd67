/**
 * Three agents on one thread: from a durable write on one agent to the row being readable on another, at a steady rate; how many writes a
 * second an agent acknowledges; and what a change costs on the wire. Beside it a bare WebSocket round trip, a bare
 * durable upsert, and Redis where it is installed.
 */
import { join } from "node:path";
import { must } from "@patina/base";
import { BareDatabase, rowsWrite } from "../../databases.js";
import { type Machine, Machines } from "../../machines.js";
import { blockingRate, closedLoopRate, type Delivery, pacedLatencies } from "../../pacing.js";
import { isOnPath } from "../../programs.js";
import { REDIS_SERVER, RedisPair } from "../../peers/redis.js";
import { Region } from "../../region.js";
import { type Figure, figure, type Measured, unmeasured } from "../../report.js";
import { interleave, percentile, type RoundOptions, type Turn } from "../../rounds.js";
import { WsEcho } from "../../ws-echo.js";
import type { SuiteOptions } from "../suite.js";

const AGENTS = "agent write → visible on another";
/** Rows that are written again and again; more than are ever on their way at once. */
const MACHINES = 1000;
const RATES = [20, 200] as const;
/** The rate at which bytes are counted: high enough that heartbeats and anti-entropy are shared by many changes. */
const BYTES_AT_RATE = 200;
const IN_FLIGHT = 64;

const FULL = { rounds: 5, pacedSeconds: 4, closedSeconds: 2 };
const QUICK = { rounds: 2, pacedSeconds: 0.7, closedSeconds: 0.4 };

export async function oneProcessFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const sizes = isQuick ? QUICK : FULL;
  const machines = new Machines(MACHINES, rng.fork());
  const closing: (() => Promise<void> | void)[] = [];
  try {
    const region = await Region.start(dir);
    closing.push(() => region.stop());
    for (const batch of machines.batches(100)) await region.write(rowsWrite(batch));
    await region.settle();
    const frameBytes = Math.round(region.bodyBytes / MACHINES);
    const ws = await WsEcho.start(frameBytes);
    closing.push(() => ws.stop());
    const redis = isOnPath(REDIS_SERVER) ? await RedisPair.start(dir, frameBytes) : undefined;
    if (redis !== undefined) closing.push(() => redis.stop());
    const bare = new BareDatabase(join(dir, "bare.db"), "FULL");
    closing.push(() => bare.close());
    bare.load(machines);

    const writer = new Writer(region, machines);
    const peers: Peer[] = [{ name: "bare ws round trip", deliver: (n) => ws.deliver(n) }];
    if (redis !== undefined) peers.push({ name: "redis set → seen on its replica", deliver: (n) => redis.deliver(n) });
    const options = { rounds: sizes.rounds, rng, settle: () => region.settle() };
    const figures: Figure[] = [];
    for (const rate of RATES) figures.push(...(await latencyFigures(writer, peers, rate, sizes.pacedSeconds, options)));
    figures.push(...(await rateFigures(writer, bare, sizes.closedSeconds, options)));
    return redis === undefined ? [...figures, unmeasured(`${REDIS_SERVER}: absent`)] : figures;
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Writes the machines in turn, each time changed. */
class Writer {
  readonly region: Region;
  readonly #machines: Machines;
  #written = 0;

  constructor(region: Region, machines: Machines) {
    this.region = region;
    this.#machines = machines;
  }

  next(): Machine {
    return this.#machines.change(this.#written++ % MACHINES);
  }

  async write(): Promise<void> {
    await this.region.write(rowsWrite([this.next()]));
  }

  async deliver(): Promise<number> {
    const machine = this.next();
    return this.region.deliver(rowsWrite([machine]), BigInt(machine.write.values["writes"] as bigint));
  }
}

/** Something else that carries a message of a change's size from here to there. */
interface Peer {
  readonly name: string;
  readonly deliver: Delivery;
}

async function latencyFigures(
  writer: Writer,
  peers: readonly Peer[],
  rate: number,
  seconds: number,
  options: RoundOptions,
): Promise<Figure[]> {
  const { region } = writer;
  const sent: number[] = [];
  const needed: number[] = [];
  const agentsTurn: Turn<number[]> = async (round) => {
    const [sentBefore, bodiesBefore] = [region.sentBytes, region.bodyBytes];
    const latencies = await pacedLatencies(() => writer.deliver(), rate, seconds);
    await region.settle();
    if (round > 0) {
      sent.push((region.sentBytes - sentBefore) / latencies.length);
      needed.push((2 * (region.bodyBytes - bodiesBefore)) / latencies.length);
    }
    return latencies;
  };
  const turns = peers.map(({ name, deliver }): [string, Turn<number[]>] => {
    return [name, () => pacedLatencies(deliver, rate, seconds)];
  });
  const measured = await interleave<string, number[]>(Object.fromEntries([[AGENTS, agentsTurn], ...turns]), options);
  const figures = [0.5, 0.99].flatMap((share) => {
    const of = (name: string): Measured => {
      const values = must(measured[name], name).map((latencies) => percentile(latencies, share));
      return { name: `${name}, p${share * 100} at ${rate}/s`, unit: "ms", values };
    };
    const measuredPeers = peers.map(({ name }) => of(name));
    const versusEach = measuredPeers.map((versus) => figure(of(AGENTS), { versus, better: "less" }));
    return [...measuredPeers.map((each) => figure(each)), ...versusEach];
  });
  if (rate !== BYTES_AT_RATE) return figures;
  const limit = { name: "a change's row, to two peers", unit: "B", values: needed };
  const bytes = { name: `bytes sent per change at ${rate}/s, all agents`, unit: "B", values: sent };
  return [...figures, figure(limit), figure(bytes, { versus: limit, better: "less" })];
}

async function rateFigures(
  writer: Writer,
  bare: BareDatabase,
  seconds: number,
  options: RoundOptions,
): Promise<Figure[]> {
  const { region } = writer;
  const closed = (inFlight: number): Turn<number> => {
    return async () => {
      const rate = await closedLoopRate(() => writer.write(), inFlight, seconds);
      await region.settle();
      return rate;
    };
  };
  const measured = await interleave(
    {
      bare: () => blockingRate(() => bare.upsert([writer.next()]), seconds, 20),
      sequential: closed(1),
      inFlight: closed(IN_FLIGHT),
    },
    options,
  );
  const unit = "writes/s";
  const limit = { name: "bare upsert, 1 a transaction, FULL", unit, values: measured.bare };
  return [
    figure(limit),
    figure(
      { name: "acknowledged writes, one by one", unit, values: measured.sequential },
      { versus: limit, better: "more" },
    ),
    figure(
      { name: `acknowledged writes, ${IN_FLIGHT} in flight`, unit, values: measured.inFlight },
      { versus: limit, better: "more" },
    ),
  ];
}
