/**
 * Keeps the transport with its files: certificates are renewed and keys rotated without a restart. What cannot be used is
 * not: the agent goes on with what it has, says so once, and looks again. Nor is a certificate that is not valid now taken for
 * one that is. And it says in time what is about to expire.
 */
import { isDeepStrictEqual } from "node:util";
import { AppError, messageOf, type NodeId, type Now } from "@patina/base";
import {
  type Credentials,
  newestEpoch,
  readSecurity,
  type Role,
  type Security,
  type SecurityPaths,
  staleness,
} from "@patina/security";
import type { Logger, SecurityStatus } from "@patina/telemetry";

export interface SecurityWatchOptions {
  readonly paths: SecurityPaths;
  readonly cluster: string;
  readonly role: Role;
  readonly node: NodeId;
  readonly security: Security;
  readonly log: Logger;
  readonly now: () => Now;
  readonly onReplaced: (security: Security) => void;
}

/** Four small files: cheap enough to read that nobody has to wait, and right for files that are links to others. */
const LOOK_EVERY_MS = 2000;
const WARN_BEFORE_MS = 30 * 86_400_000;
const WARN_EVERY_MS = 86_400_000;

export class SecurityWatch {
  readonly #options: SecurityWatchOptions;
  #security: Security;
  #problem: string | undefined;
  #warnedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: SecurityWatchOptions) {
    this.#options = options;
    this.#security = options.security;
    this.#warnOfExpiry();
    this.#lookLater();
  }

  /** As they are now. */
  get credentials(): Credentials {
    return this.#security.credentials;
  }

  status(): SecurityStatus {
    const { credentials, keyring } = this.#security;
    return {
      memberExpiresMs: credentials.expiresMs,
      authorityExpiresMs: credentials.authorityExpiresMs,
      sealingEpoch: keyring.primary,
      newestEpoch: newestEpoch(keyring),
      areFilesGood: this.#problem === undefined,
    };
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #lookLater(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.look().finally(() => this.#lookLater()), LOOK_EVERY_MS);
  }

  /** The files are looked at; unasked, every other second. */
  async look(): Promise<void> {
    const { paths, cluster, role, log } = this.#options;
    try {
      const security = await readSecurity(paths, cluster, role);
      if (!this.#isClosed && !isDeepStrictEqual(security, this.#security)) this.#replace(security);
      this.#problem = undefined;
    } catch (thrown) {
      const problem = messageOf(thrown);
      if (problem !== this.#problem) log.warn({ problem }, "the security files cannot be used: going on with the old");
      this.#problem = problem;
    }
    this.#warnOfExpiry();
  }

  #replace(security: Security): void {
    const { node, log, now, onReplaced } = this.#options;
    const { credentials, keyring } = security;
    const { wallMs } = now();
    const stale = staleness(credentials, wallMs);
    if (stale !== undefined && staleness(this.#security.credentials, wallMs) === undefined) {
      throw new AppError("config-invalid", `the new certificate is not taken while the present one is good: ${stale}`);
    }
    if (credentials.self.node !== node) {
      throw new AppError("config-invalid", `the certificate is for node ${credentials.self.node}, not for ${node}`);
    }
    onReplaced(security);
    this.#security = security;
    this.#warnedMs = Number.NEGATIVE_INFINITY;
    const expires = new Date(credentials.expiresMs).toISOString();
    log.info({ expires, sealingEpoch: keyring.primary, newestEpoch: newestEpoch(keyring) }, "security files replaced");
  }

  #warnOfExpiry(): void {
    const { log } = this.#options;
    const nowMs = this.#options.now().wallMs;
    const { expiresMs, authorityExpiresMs } = this.#security.credentials;
    const leftMs = Math.min(expiresMs, authorityExpiresMs) - nowMs;
    if (leftMs > WARN_BEFORE_MS || nowMs < this.#warnedMs + WARN_EVERY_MS) return;
    this.#warnedMs = nowMs;
    const what = expiresMs <= authorityExpiresMs ? "the certificate" : "an authority";
    const expires = new Date(Math.min(expiresMs, authorityExpiresMs)).toISOString();
    if (leftMs > 0) log.warn({ expires }, `${what} expires soon: new streams will be refused from then on`);
    else log.error({ expires }, `${what} has expired: new streams are refused until it is renewed`);
  }
}
