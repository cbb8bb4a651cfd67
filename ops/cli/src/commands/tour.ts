/** `patina tour`: the three jobs as one story on a real fleet, each step with its time. Exits 0 when all of it held. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import pc from "picocolors";
import { AppError, must } from "@patina/base";
import { PatinaClient } from "@patina/api/client";
import type { Manifest } from "@patina/checkpoint";
import { systemNow } from "@patina/runtime";
import { DEFAULT_SHAPE } from "../fleet/layout.js";
import { LocalFleet } from "../fleet/local-fleet.js";
import { anyIn, anyRouter } from "../fleet/reach.js";
import { restoreCluster } from "../fleet/restore-cluster.js";
import { digestsOf, isEqual, settle } from "../fleet/settle.js";
import { seconds } from "../output.js";
import { Loader, startJobs } from "../workload/loader.js";
import { sampleFleet } from "../workload/sample.js";

const MACHINES = 1200;
const SETTLE_WITHIN_MS = 60_000;
const REGION = "iad";

export function addTour(program: Command): void {
  program
    .command("tour")
    .description("start a fleet, load it, resolve, kill an agent, checkpoint, destroy a region, restore it")
    .option("--base-port <port>", "the first of its ports", "7300")
    .action(async ({ basePort }: { basePort: string }) => {
      const dir = mkdtempSync(join(tmpdir(), "patina-tour-"));
      try {
        await new Tour(dir, Number(basePort)).run();
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    });
}

interface Placement {
  readonly result: string;
  readonly regions: readonly {
    readonly region: string;
    readonly grade: string;
    readonly instances: readonly unknown[];
  }[];
}

class Tour {
  readonly #dir: string;
  readonly #basePort: number;
  readonly #began = systemNow().monotonicMs;
  #step = 0;

  constructor(dir: string, basePort: number) {
    this.#dir = dir;
    this.#basePort = basePort;
  }

  async run(): Promise<void> {
    const shape = { ...DEFAULT_SHAPE, dir: this.#dir, basePort: this.#basePort, holdDownMs: undefined };
    const fleet = await this.#tell("start three regions of three agents and a global tier of three", () =>
      LocalFleet.start(shape, () => undefined),
    );
    try {
      await this.#story(fleet);
    } finally {
      await this.#tell("stop everything", () => fleet.stop());
    }
    process.stdout.write(
      pc.green(`the tour is over after ${seconds(systemNow().monotonicMs - this.#began)}: every step held\n`),
    );
  }

  async #story(fleet: LocalFleet): Promise<void> {
    const { fleet: file } = fleet.layout;
    const app = await this.#load(fleet);
    const before = await this.#resolve(fleet, app, "resolve an app through the global index");
    await this.#killOne(fleet);
    const digest = await this.#digest(fleet);
    const manifest = await this.#tell(`take a checkpoint of ${REGION}`, async () => {
      const client = await anyIn(file, REGION);
      return client.request<Manifest>("/v1/checkpoints", { method: "POST", timeoutMs: 120_000 });
    });
    hold(manifest.digest === digest, "the checkpoint has the digest of the region");
    await this.#destroy(fleet);
    await this.#resolveWithout(fleet, app);
    const restored = await this.#tell(`restore ${REGION} from the checkpoint, as a new generation`, async () => {
      return restoreCluster({
        fleet: file,
        cluster: REGION,
        from: "latest",
        replace: false,
        onProgress: () => undefined,
        say: () => undefined,
      });
    });
    hold(restored.digest === digest, "the restored digest is the one from before");
    hold((await this.#digest(fleet)) === digest, "every restored agent has the digest from before");
    this.#say(
      `digest before ${digest.slice(0, 16)}, after ${restored.digest.slice(0, 16)}, generation ${restored.generation}`,
    );
    const after = await this.#resolve(fleet, app, "resolve the app again");
    hold(regionsText(after) === regionsText(before), "the app is where it was, with as many machines");
  }

  async #load(fleet: LocalFleet): Promise<string> {
    const { fleet: file } = fleet.layout;
    const machines = sampleFleet(MACHINES);
    await this.#tell(`write ${machines.length} machines, each through a worker of its region`, () =>
      new Loader(file).write(startJobs(machines, Object.keys(file.regions))),
    );
    await this.#tell("wait until every agent and the index agree", async () => {
      const wrong = await settle(file, await anyRouter(file), SETTLE_WITHIN_MS);
      hold(wrong === undefined, wrong ?? "");
    });
    return must(machines[0], "a machine").app;
  }

  async #resolve(fleet: LocalFleet, app: string, what: string): Promise<Placement> {
    const router = await anyRouter(fleet.layout.fleet);
    const placement = await this.#tell(what, () =>
      router.request<Placement>(`/v1/apps/${app}/placement?near=${REGION}`),
    );
    hold(placement.result === "found", `${app} is found`);
    this.#say(`${app}: ${regionsText(placement)}`);
    return placement;
  }

  async #killOne(fleet: LocalFleet): Promise<void> {
    const [victim, writer, reader] = fleet.layout.agents.filter(({ cluster }) => cluster === REGION);
    const name = must(victim, "an agent").name;
    await this.#tell(`kill -9 ${name}`, () => fleet.supervisor.kill(name));
    await this.#tell("write on one survivor and read it on the other", async () => {
      const sql = "INSERT INTO machines (id, app, state) VALUES ('tour-1', 'tour', 'started')";
      await new PatinaClient(must(writer, "an agent").api).transact([sql]);
      const client = new PatinaClient(must(reader, "an agent").api);
      await until("the write is readable on the other agent", async () => {
        const { rows } = await client.query("SELECT 1 FROM machines WHERE id = 'tour-1'");
        return rows.length === 1;
      });
    });
    await this.#tell(`start ${name} again and wait until it has caught up`, async () => {
      fleet.supervisor.start(name);
      await fleet.supervisor.ready();
      const { fleet: file } = fleet.layout;
      await until("the region is equal", async () =>
        isEqual(await digestsOf(REGION, must(file.regions[REGION], REGION))),
      );
    });
  }

  async #destroy(fleet: LocalFleet): Promise<void> {
    const agents = fleet.layout.agents.filter(({ cluster }) => cluster === REGION);
    await this.#tell(`kill every agent of ${REGION} and delete their data directories`, async () => {
      await Promise.all(agents.map(({ name }) => fleet.supervisor.kill(name)));
      for (const { node_dir: nodeDir } of agents) rmSync(nodeDir, { recursive: true });
    });
  }

  async #resolveWithout(fleet: LocalFleet, app: string): Promise<void> {
    const placement = await this.#resolve(fleet, app, `resolve it with ${REGION} gone: the other regions answer`);
    const others = placement.regions.filter(({ region }) => region !== REGION);
    hold(
      others.every(({ grade }) => grade === "live"),
      "the other regions answer for themselves",
    );
    const lost = placement.regions.find(({ region }) => region === REGION);
    hold(lost?.grade !== "live", `${REGION} is not claimed to be alive`);
  }

  /** The digest all agents of the region share. */
  async #digest(fleet: LocalFleet): Promise<string> {
    const agents = must(fleet.layout.fleet.regions[REGION], REGION);
    await until("the region's digests are equal", async () => isEqual(await digestsOf(REGION, agents)));
    const [first] = await digestsOf(REGION, agents);
    return must(first?.digest, "a digest");
  }

  async #tell<T>(what: string, work: () => Promise<T>): Promise<T> {
    const began = systemNow().monotonicMs;
    const result = await work();
    const took = seconds(systemNow().monotonicMs - began);
    process.stdout.write(`${String(++this.#step).padStart(2)}. ${what} ${pc.dim(`(${took})`)}\n`);
    return result;
  }

  #say(text: string): void {
    process.stdout.write(`    ${pc.dim(text)}\n`);
  }
}

function regionsText({ regions }: Placement): string {
  const parts = regions.map(({ region, grade, instances }) => `${region} ${grade} with ${instances.length} machines`);
  return parts.sort().join(", ");
}

/** Stops the tour when what it promises is not so. */
function hold(condition: boolean, what: string): void {
  if (!condition) throw new AppError("divergence", `the tour expected that ${what}`);
}

async function until(what: string, condition: () => Promise<boolean>, withinMs = SETTLE_WITHIN_MS): Promise<void> {
  const began = systemNow().monotonicMs;
  while (!(await condition())) {
    hold(systemNow().monotonicMs - began < withinMs, `${what} within ${seconds(withinMs)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
