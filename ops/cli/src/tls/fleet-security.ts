/**
 * Secures a local fleet as a real one is: an authority for every cluster, so that no region's certificate opens anything of
 * another's, and a certificate for every member. What is there is kept, and renewed before it ends.
 */
import { join } from "node:path";
import { DataDir } from "@patina/runtime";
import type { Layout } from "../fleet/layout.js";
import { type AuthorityDir, createAuthorityDir, isAuthorityDir, openAuthorityDir } from "./authority-dir.js";
import { writePublic } from "./files.js";
import { keepMember } from "./member-dir.js";
import { AUTHORITY_DAYS, MEMBER_DAYS } from "./validity.js";

export async function secureFleet({ dir, bordersDir, agents }: Layout): Promise<void> {
  const clusters = [...new Set(agents.map(({ cluster }) => cluster))];
  await Promise.all(
    clusters.map(async (cluster) => {
      const authority = await keepAuthority(authorityDirOf(dir, cluster), cluster);
      const members = agents.filter((agent) => agent.cluster === cluster);
      // So that the global agents know a region's border by its certificate.
      if (members.some(({ role }) => role === "regional"))
        writePublic(join(bordersDir, `${cluster}.crt`), authority.trusted);
      await Promise.all(
        members.map(async ({ role, tls_dir: tlsDir, node_dir: nodeDir }) => {
          const node = DataDir.nodeIdIn(nodeDir);
          await keepMember(tlsDir, authority, { role, node, days: MEMBER_DAYS });
        }),
      );
    }),
  );
}

/** Where a local fleet keeps the authority of one of its clusters. */
export function authorityDirOf(dir: string, cluster: string): string {
  return join(dir, cluster, "authority");
}

async function keepAuthority(dir: string, cluster: string): Promise<AuthorityDir> {
  if (isAuthorityDir(dir)) return openAuthorityDir(dir);
  return createAuthorityDir(dir, { cluster, days: AUTHORITY_DAYS, replace: false });
}
