/** `patina members`: who is in a cluster, as one of its agents sees it. */
import { AppError, messageOf } from "@patina/base";
import type { Command } from "commander";
import pc from "picocolors";
import { EXIT } from "../exit-status.js";
import type { Fleet } from "../fleet/fleet-file.js";
import { anyIn, anyRouter, isUnreachable } from "../fleet/reach.js";
import { note, print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface MemberDocument {
  readonly nodeId: string;
  readonly state: string;
  readonly address: string;
  readonly boot: number;
  readonly incarnation: number;
  readonly meta: { readonly api: string };
}

interface MembersDocument {
  readonly cluster: { readonly name: string; readonly generation: number };
  readonly self: MemberDocument;
  readonly members: readonly MemberDocument[];
}

export function addMembers(program: Command): void {
  const command = withCommon(program.command("members").description("who is in a cluster, and in which state"))
    .option("--region <region>", "of this region (default: every region)")
    .option("--global", "of the global tier")
    .action(members);
  command
    .command("evict")
    .description("give up a member that will not come back: its copy no longer counts")
    .argument("<node>", "its node id, or the beginning of it")
    .action(async (node: string, _options: unknown, self: Command) => evict(node, self.optsWithGlobals()));
}

async function evict(prefix: string, options: CommonOptions & { region?: string; global?: boolean }): Promise<void> {
  const fleet = fleetOf(options);
  const clusters = clustersOf(fleet, options);
  for (const cluster of clusters) {
    const client = cluster === "global" ? await anyRouter(fleet) : await anyIn(fleet, cluster);
    const { members: all } = await client.request<MembersDocument>("/v1/members");
    const [node, ...others] = all.map(({ nodeId }) => nodeId).filter((nodeId) => nodeId.startsWith(prefix));
    if (node === undefined) continue;
    if (others.length > 0) {
      throw new AppError("bad-request", `${others.length + 1} members of ${cluster} begin with ${prefix}`, {
        hint: "Give more of the node's id: a member that was given up starts over.",
      });
    }
    await client.request(`/v1/members/${node}/evict`, { method: "POST" });
    return print(options.output, { cluster, evicted: node }, () => `${cluster} gave up ${node}\n`);
  }
  throw new AppError("member-unknown", `no member of ${clusters.join(", ")} begins with ${prefix}`, {
    hint: "`patina members` lists them.",
  });
}

async function members(options: CommonOptions & { region?: string; global?: boolean }): Promise<void> {
  const fleet = fleetOf(options);
  const documents: MembersDocument[] = [];
  for (const cluster of clustersOf(fleet, options)) {
    try {
      const client = cluster === "global" ? await anyRouter(fleet) : await anyIn(fleet, cluster);
      documents.push(await client.request<MembersDocument>("/v1/members"));
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      note(`missing ${cluster}: ${messageOf(thrown)}`);
      process.exitCode = EXIT.unreachable;
    }
  }
  const rows = documents.flatMap(({ cluster, self, members: others }) =>
    [self, ...others]
      .toSorted((a, b) => (a.address < b.address ? -1 : 1))
      .map((member) => [
        cluster.name,
        member.nodeId.slice(0, 8),
        stateText(member.state),
        member.address,
        member.meta.api,
      ]),
  );
  print(options.output, documents, () => renderTable(["cluster", "node", "state", "gossip", "api"], rows));
  for (const { cluster, self } of documents)
    note(pc.dim(`${cluster.name}: generation ${cluster.generation}, as seen by ${self.nodeId.slice(0, 8)}`));
}

function clustersOf(fleet: Fleet, { region, global }: { region?: string; global?: boolean }): string[] {
  if (global === true) return ["global"];
  return region === undefined ? Object.keys(fleet.regions) : [region];
}

function stateText(state: string): string {
  return state === "alive" ? pc.green(state) : state === "suspect" ? pc.yellow(state) : pc.red(state);
}
