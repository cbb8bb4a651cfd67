/** Secures a cluster as on real machines: one authority, one keyring, and a certificate for each member. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newKey, newNodeId, systemNow } from "@patina/runtime";
import {
  type Authority,
  createAuthority,
  formatKeyring,
  issueCertificate,
  newKeyring,
  type Validity,
} from "@patina/security";

const HOUR_MS = 3_600_000;
const SECRET = { mode: 0o600 } as const;

export interface MemberFiles {
  readonly keyring: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
}

export class ClusterAuthority {
  readonly #authority: Authority;
  readonly #validity: Validity;
  readonly #keyring = formatKeyring(newKeyring(newKey()));

  private constructor(authority: Authority, validity: Validity) {
    this.#authority = authority;
    this.#validity = validity;
  }

  static async create(cluster: string): Promise<ClusterAuthority> {
    const nowMs = systemNow().wallMs;
    const validity = { fromMs: nowMs - 24 * HOUR_MS, untilMs: nowMs + 90 * 24 * HOUR_MS };
    return new ClusterAuthority(await createAuthority(cluster, validity, newNodeId()), validity);
  }

  /** Makes a new member and writes what it needs into a directory. */
  async issue(dir: string): Promise<MemberFiles> {
    const name = { role: "regional", node: newNodeId() } as const;
    const { certificate, key } = await issueCertificate(this.#authority, name, this.#validity, newNodeId());
    const [ca, cert, keyFile, keyring] = ["ca.crt", "member.crt", "member.key", "keyring.json"].map((file) => join(dir, file)) as [string, string, string, string]; // prettier-ignore
    mkdirSync(dir, { recursive: true });
    writeFileSync(ca, this.#authority.certificate);
    writeFileSync(cert, certificate);
    writeFileSync(keyFile, key, SECRET);
    writeFileSync(keyring, this.#keyring, SECRET);
    return { keyring, tls: { ca, cert, key: keyFile } };
  }
}
