/** Real certificates for tests: authorities and members as good or as bad as a test wants them. */
import { type Authority, createAuthority, issueCertificate, type KeyPair } from "../certificates/authority.js";
import { type Credentials, parseCredentials } from "../certificates/credentials.js";
import type { Role } from "../certificates/member-name.js";

export const HOUR_MS = 3_600_000;

export interface Wanted {
  readonly node: string;
  readonly role?: Role;
  /** Until when, from `nowMs`; an hour when left out, and in the past if negative. */
  readonly forMs?: number;
  /** From when on, from `nowMs`; two days ago when left out. */
  readonly inMs?: number;
  /** Whom the member trusts, beside its own authority. */
  readonly alsoTrusts?: readonly Authority[];
}

export class Issuer {
  readonly #nowMs: number;
  #serial = 0;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  async authority(cluster: string, forMs = 24 * HOUR_MS): Promise<Authority> {
    return createAuthority(cluster, this.#validity(forMs), this.#nextSerial());
  }

  async pair(authority: Authority, { node, role = "regional", forMs = HOUR_MS, inMs }: Wanted): Promise<KeyPair> {
    return issueCertificate(authority, { role, node }, this.#validity(forMs, inMs), this.#nextSerial());
  }

  async credentials(authority: Authority, wanted: Wanted): Promise<Credentials> {
    const trusted = [authority, ...(wanted.alsoTrusts ?? [])];
    const ca = trusted.map(({ certificate }) => certificate).join("");
    return parseCredentials({ ca, ...(await this.pair(authority, wanted)) });
  }

  #validity(forMs: number, inMs = -48 * HOUR_MS): { fromMs: number; untilMs: number } {
    return { fromMs: this.#nowMs + inMs, untilMs: this.#nowMs + forMs };
  }

  #nextSerial(): string {
    return (++this.#serial).toString(16).padStart(32, "0");
  }
}
