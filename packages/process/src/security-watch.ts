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
  /** What was said last of each certificate's end, and when, by the monotonic clock: the wall clock may have been wrong. */
  readonly #told = new Map<string, { readonly stage: Stage; readonly atMs: number }>();
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
    this.#told.clear();
    const expires = new Date(credentials.expiresMs).toISOString();
    log.info({ expires, sealingEpoch: keyring.primary, newestEpoch: newestEpoch(keyring) }, "security files replaced");
  }

  #warnOfExpiry(): void {
    const { wallMs } = this.#options.now();
    const { credentials } = this.#security;
    const early = wallMs < credentials.validFromMs;
    if (early) this.#tell("the certificate", "early", credentials.validFromMs);
    else this.#tell("the certificate", stageOf(credentials.expiresMs - wallMs), credentials.expiresMs);
    this.#tell("an authority", stageOf(credentials.authorityExpiresMs - wallMs), credentials.authorityExpiresMs);
  }

  /** At once when it is another stage than before; while it stays the same, now and then. */
  #tell(what: string, stage: Stage, atMs: number): void {
    const { log, now } = this.#options;
    const { monotonicMs } = now();
    const before = this.#told.get(what);
    if (stage === before?.stage && monotonicMs < before.atMs + WARN_EVERY_MS) return;
    this.#told.set(what, { stage, atMs: monotonicMs });
    const at = new Date(atMs).toISOString();
    if (stage === "soon") log.warn({ expires: at }, `${what} expires soon: new streams will be refused from then on`);
    if (stage === "over")
      log.error({ expires: at }, `${what} has expired: new streams are refused until it is renewed`);
    if (stage === "early")
      log.error({ from: at }, `${what} is not valid yet: new streams are refused: is a clock wrong?`);
  }
}

type Stage = "early" | "good" | "soon" | "over";

function stageOf(leftMs: number): Stage {
  if (leftMs <= 0) return "over";
  return leftMs <= WARN_BEFORE_MS ? "soon" : "good";
}
