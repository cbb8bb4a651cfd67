/**
 * From a write at one agent to its being seen at another, as a client has it: three agents on loopback, members secured,
 * beside a bare TLS round trip and beside stores that do the same with consensus, all in the same rounds. The peers speak
 * plaintext among themselves. What a change costs on the wire is counted by the agents.
 */
import { must } from "@patina/base";
import { newNodeId } from "@patina/runtime";
import { ownGate } from "../../own-gate.js";
import { type Delivery, pacedLatencies } from "../../pacing.js";
import { ETCD_SERVER, EtcdCluster } from "../../peers/etcd.js";
import { NATS_SERVER, NatsCluster } from "../../peers/nats.js";
import { isOnPath } from "../../programs.js";
import { RealAgents } from "../../real-agents.js";
import { type Figure, figure, type Measured, unmeasured } from "../../report.js";
import { interleave, percentile, type Turn } from "../../rounds.js";
import { WsEcho } from "../../ws-echo.js";
import type { SuiteOptions } from "../suite.js";

const VALUE_BYTES = 400;
const AGENTS = "put at an agent → seen at another";
const TLS = "TLS stream round trip";
const RATES = [20, 200, 1000] as const;
const BYTES_AT_RATE = 200;

/** Warm-ups are deliveries before the first that counts: a process that runs is measured, not one that starts. */
const FULL = { rounds: 5, seconds: 4, warmUps: 3000 };
const QUICK = { rounds: 1, seconds: 0.5, warmUps: 50 };
const WARM_UP_LANES = 8;

interface Contender {
  readonly name: string;
  readonly deliver: Delivery;
}

export async function realLatencyFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { rounds, seconds, warmUps } = isQuick ? QUICK : FULL;
  const closing: (() => Promise<void>)[] = [];
  try {
    const agents = await RealAgents.start(dir, 3, VALUE_BYTES);
    closing.push(() => agents.stop());
    const node = newNodeId();
    const tls = await WsEcho.start(VALUE_BYTES, { gate: await ownGate(node), node });
    closing.push(() => tls.stop());
    const peers: Contender[] = [];
    if (isOnPath(ETCD_SERVER)) {
      const etcd = await EtcdCluster.start(dir, VALUE_BYTES);
      closing.push(() => etcd.stop());
      peers.push({ name: "etcd put → watched at another", deliver: (n) => etcd.deliver(n) });
    }
    if (isOnPath(NATS_SERVER)) {
      const nats = await NatsCluster.start(dir, VALUE_BYTES);
      closing.push(() => nats.stop());
      peers.push({ name: "NATS KV put → watched at another", deliver: (n) => nats.deliver(n) });
    }
    const others = [{ name: TLS, deliver: (n: number) => tls.deliver(n) }, ...peers];
    for (const each of [{ name: AGENTS, deliver: (n: number) => agents.deliver(n) }, ...others])
      await warmUp(each, warmUps);
    const figures: Figure[] = [];
    for (const rate of RATES) {
      const paced = new PacedContenders(agents, others, rate);
      const measured = await interleave(paced.turns(seconds), { rounds, rng });
      figures.push(...paced.figures(measured, peers));
    }
    return [...figures, ...absentPeers()];
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Numbers of deliveries never come twice: a late one must not be taken for another. */
let numbered = 1;

async function warmUp({ deliver }: Contender, deliveries: number): Promise<void> {
  const first = (numbered += 1_000_000);
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < deliveries) await deliver(first + started++);
  };
  await Promise.all(Array.from({ length: WARM_UP_LANES }, lane));
}

class PacedContenders {
  readonly #agents: RealAgents;
  readonly #others: readonly Contender[];
  readonly #rate: number;
  readonly #bytesPerChange: number[] = [];

  constructor(agents: RealAgents, others: readonly Contender[], rate: number) {
    this.#agents = agents;
    this.#others = others;
    this.#rate = rate;
  }

  turns(seconds: number): Record<string, Turn<number[]>> {
    const paced = ({ deliver }: Contender): Turn<number[]> => {
      return () => {
        const first = (numbered += 1_000_000);
        return pacedLatencies((n) => deliver(first + n), this.#rate, seconds);
      };
    };
    const agents = paced({ name: AGENTS, deliver: (n) => this.#agents.deliver(n) });
    const counted: Turn<number[]> = async (round) => {
      const before = await this.#agents.sentBytes();
      const latencies = await agents(round);
      this.#bytesPerChange.push(((await this.#agents.sentBytes()) - before) / latencies.length);
      return latencies;
    };
    return Object.fromEntries([[AGENTS, counted], ...this.#others.map((it) => [it.name, paced(it)] as const)]);
  }

  figures(measured: Readonly<Record<string, number[][]>>, peers: readonly Contender[]): Figure[] {
    const figures = [0.5, 0.99].flatMap((share) => {
      const of = (name: string): Measured => {
        const values = must(measured[name], name).map((latencies) => percentile(latencies, share));
        return { name: `${name}, p${share * 100} at ${this.#rate}/s`, unit: "ms", values };
      };
      const goal = { of: "ratio", atLeast: 1 } as const;
      const versusPeers = peers.map(({ name }) => {
        return figure(of(AGENTS), { versus: of(name), better: "less", ...(share === 0.99 ? { goal } : {}) });
      });
      const alone = this.#others.map(({ name }) => figure(of(name)));
      return [...alone, figure(of(AGENTS), { versus: of(TLS), better: "less" }), ...versusPeers];
    });
    if (this.#rate !== BYTES_AT_RATE) return figures;
    const wire = { unit: "B", values: this.#bytesPerChange };
    return [
      ...figures,
      figure({ name: `sent per ${VALUE_BYTES}-byte change by three agents, at ${this.#rate}/s`, ...wire }),
    ];
  }
}

function absentPeers(): Figure[] {
  return [ETCD_SERVER, NATS_SERVER].filter((name) => !isOnPath(name)).map((name) => unmeasured(`${name}: absent`));
}
