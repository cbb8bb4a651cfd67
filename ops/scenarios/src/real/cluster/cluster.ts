/** A region of real agents, each in its own corner of an enclosed network, secured like one on machines. */
import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { must } from "@patina/base";
import { stringify } from "smol-toml";
import { ClusterAuthority } from "./authority.js";
import { Member } from "./member.js";
import { waitUntil } from "./wait-until.js";

const CLUSTER = "iad";
const SEEDS = 3;
const STARTS_AT_ONCE = 10;
const MEET_WITHIN_MS = 60_000;

/** Where members live and listen. */
export interface Places {
  gossipOf(index: number): string;
  apiOf(index: number): string;
  /** The command that runs a program where a member lives; nothing when that is here. */
  within(index: number): readonly string[];
}

export class Cluster {
  readonly members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.members = members;
  }

  /** Writes every member's files. Nothing runs yet. */
  static async create(places: Places, size: number, dir: string, takesCheckpoints = false): Promise<Cluster> {
    const authority = await ClusterAuthority.create(CLUSTER);
    const seeds = Array.from({ length: Math.min(SEEDS, size) }, (_, port) => places.gossipOf(port));
    const members: Member[] = [];
    for (let port = 0; port < size; port++) {
      const [name, api] = [`${CLUSTER}-${port + 1}`, places.apiOf(port)];
      const home = join(dir, name);
      await mkdir(home);
      const config = {
        node_dir: join(home, "disk", "node"), // `disk` is where a scenario may mount one.
        worker: name,
        cluster: { name: CLUSTER },
        gossip: { address: places.gossipOf(port), seeds, ...(await authority.issue(join(home, "tls"))) },
        api: { address: api },
        query: { readers: 1 },
        ...(takesCheckpoints ? { checkpoint: { store: pathToFileURL(join(dir, "checkpoints")).href } } : {}),
      };
      writeFileSync(join(home, "agent.toml"), stringify(config));
      members.push(new Member({ name, port, dir: home, api: `http://${api}`, within: places.within(port) }));
    }
    return new Cluster(members);
  }

  member(index: number): Member {
    return must(this.members[index], "a member of the cluster");
  }

  others(than: Member): Member[] {
    return this.members.filter((member) => member !== than);
  }

  get running(): Member[] {
    return this.members.filter(({ isRunning }) => isRunning);
  }

  /** Starts all, so many at once as are ready in time on two cores, and waits until each knows all the others alive. */
  async start(): Promise<void> {
    for (let first = 0; first < this.members.length; first += STARTS_AT_ONCE) {
      const wave = this.members.slice(first, first + STARTS_AT_ONCE);
      for (const member of wave) member.start();
      await Promise.all(wave.map((member) => member.ready()));
    }
    await this.met();
  }

  /** Waits until everyone knows everyone alive. */
  async met(withinMs = MEET_WITHIN_MS): Promise<number> {
    return waitUntil("everyone knows everyone alive", withinMs, async () => {
      const views = await Promise.all(this.members.map((member) => member.members().catch(() => [])));
      return views.every((known) => known.filter(({ state }) => state === "alive").length === this.members.length - 1);
    });
  }
}
