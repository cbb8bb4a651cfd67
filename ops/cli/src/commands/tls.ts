/** `patina tls ca|issue|show|rotate`: who is a member of a cluster, and with which keys members speak. */
import { Argument, type Command, Option } from "commander";
import pc from "picocolors";
import { AppError, isNodeId, type NodeId } from "@patina/base";
import { DataDir, newKey, systemNow } from "@patina/runtime";
import {
  formatKeyring,
  installKey,
  type Keyring,
  memberUri,
  newestEpoch,
  parseKeyring,
  readSecret,
  removeOldKeys,
  type Role,
  useNewestKey,
} from "@patina/security";
import { type OutputFormat, note, print, renderTable } from "../output.js";
import { createAuthorityDir, openAuthorityDir } from "../tls/authority-dir.js";
import { writeSecret } from "../tls/files.js";
import { issueMember, memberPathsIn, renewMember } from "../tls/member-dir.js";
import { showFile } from "../tls/show-file.js";
import { AUTHORITY_DAYS, MEMBER_DAYS } from "../tls/validity.js";

const CLUSTER_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const DAYS_MAX = 36_500;

export function addTls(program: Command): void {
  const tls = program.command("tls").description("certificates and keys of a cluster's members");
  tls
    .command("ca")
    .description("make a cluster's authority, and the keyring of its datagrams")
    .argument("<dir>", "where it is kept: not on a member's machine")
    .requiredOption("--cluster <name>", "the cluster its certificates are for")
    .option("--days <days>", "how long it is good for", String(AUTHORITY_DAYS))
    .option("--replace", "take over from the authority that is there; members trust both")
    .action(makeAuthority);
  tls
    .command("issue")
    .description("issue a member's certificate, with all that goes with it")
    .requiredOption("--ca <dir>", "the authority's directory")
    .requiredOption("--out <dir>", "where the member's files go")
    .addOption(new Option("--role <role>", "of which tier").choices(["regional", "global"]).default("regional"))
    .option("--node <id>", "for this node (default: a new id, which an empty data directory takes on)")
    .option("--node-dir <dir>", "for the node that has this data directory")
    .option("--days <days>", "how long it is good for", String(MEMBER_DAYS))
    .option("--renew", "for the member whose files are in --out")
    .action(issue);
  tls
    .command("show")
    .description("what is in a file of certificates, or which keys a keyring has")
    .argument("<file>")
    .addOption(new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"))
    .action(show);
  tls
    .command("rotate")
    .description("replace the key that seals datagrams: each step on every member before the next")
    .addArgument(new Argument("<step>").choices(["install", "use", "remove"]))
    .argument("<keyring>", "the authority's keyring.json; copy it to every member after each step")
    .action(rotate);
}

async function makeAuthority(
  dir: string,
  { cluster, days, replace }: { cluster: string; days: string; replace?: boolean },
): Promise<void> {
  if (!CLUSTER_NAME.test(cluster)) {
    throw new AppError("bad-request", `--cluster ${cluster}: must be lower-case letters, digits and dashes`);
  }
  const made = await createAuthorityDir(dir, { cluster, days: daysOf(days), replace: replace === true });
  note(`${dir} is the authority of ${pc.bold(cluster)}: whoever has ca.key makes members of it`);
  if (made.takesOver) note("Copy ca.crt, which trusts the old one too, to every member before you renew any of them.");
  note(pc.dim(`  patina tls issue --ca ${dir} --out DIR`));
}

interface IssueFlags {
  readonly ca: string;
  readonly out: string;
  readonly role: Role;
  readonly node?: string;
  readonly nodeDir?: string;
  readonly days: string;
  readonly renew?: boolean;
}

async function issue({ ca, out, role, node, nodeDir, days, renew }: IssueFlags): Promise<void> {
  const authority = await openAuthorityDir(ca);
  if (renew === true && (node ?? nodeDir) !== undefined) {
    throw new AppError("bad-request", "--renew keeps the node that the certificate names");
  }
  if (node !== undefined && !isNodeId(node)) throw new AppError("bad-request", `--node ${node}: not 32 hex digits`);
  const known = node ?? (nodeDir === undefined ? undefined : nodeIn(nodeDir));
  const member =
    renew === true
      ? await renewMember(out, authority, daysOf(days))
      : await issueMember(out, authority, { role, node: known, days: daysOf(days) });
  const paths = memberPathsIn(out);
  note(`${out} is ${pc.bold(memberUri(member))}`);
  if (member.isCutShort) {
    note(
      `It is good until ${new Date(member.untilMs).toISOString()}, when its authority ends: see patina tls ca --replace`,
    );
  }
  note(pc.dim(`  [gossip]\n  keyring = "${paths.keyring}"\n`));
  note(pc.dim(`  [gossip.tls]\n  ca = "${paths.ca}"\n  cert = "${paths.cert}"\n  key = "${paths.key}"`));
}

function nodeIn(dir: string): NodeId {
  const node = DataDir.nodeIdIn(dir);
  if (node !== undefined) return node;
  throw new AppError("bad-request", `--node-dir ${dir}: no agent has ever run there`, {
    hint: "Name its data directory; without --node-dir, one that is empty takes its id from the certificate.",
  });
}

async function show(file: string, { output }: { output: OutputFormat }): Promise<void> {
  const shown = await showFile(file, systemNow().wallMs);
  print(output, shown, () => {
    if ("keys" in shown)
      return renderTable(
        ["epoch", "use"],
        shown.keys.map(({ epoch, use }) => [epoch, use]),
      );
    return shown.certificates
      .map((it) => {
        const until = it.expired ? pc.red(`${it.valid_until} (expired)`) : it.valid_until;
        const rows = Object.entries({ ...it, valid_until: until }).filter(([field]) => field !== "expired");
        return renderTable(
          ["field", "value"],
          rows.map(([field, value]) => [field.replace("_", " "), value]),
        );
      })
      .join("\n");
  });
}

const STEPS: Readonly<Record<string, (ring: Keyring) => Keyring>> = {
  install: (ring) => installKey(ring, newKey()),
  use: useNewestKey,
  remove: removeOldKeys,
};

async function rotate(step: string, file: string): Promise<void> {
  const ring = parseKeyring(await readSecret(file, "the keyring"), file);
  const next = STEPS[step]?.(ring) ?? ring;
  writeSecret(file, formatKeyring(next));
  const epochs = next.keys.map(({ epoch }) => epoch).join(", ");
  note(`${file} seals with epoch ${next.primary} and accepts ${epochs}`);
  note(pc.dim(`  Copy it to every member, and wait until patina_key_epoch says ${newestEpoch(next)} at all of them.`));
}

function daysOf(text: string): number {
  const days = Number(text);
  if (Number.isFinite(days) && days > 0 && days <= DAYS_MAX) return days;
  throw new AppError("bad-request", `--days ${text}: not a number up to ${DAYS_MAX}`);
}
