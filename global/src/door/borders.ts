/** Tells which region a request comes from, by the certificate that signed it and the authorities of the regions. */
import type { X509Certificate } from "node:crypto";
import { AppError, messageOf } from "@patina/base";
import { systemNow } from "@patina/runtime";
import { type Authorities, type ReadAuthorities, readAuthorities, verifyRequest } from "@patina/security";
import type { Logger } from "@patina/telemetry";
import type { Context } from "hono";

/** A handful of small files: cheap enough to read that nobody has to wait for a new region. */
const LOOK_EVERY_MS = 2000;

export interface BordersOptions {
  /** The directory of the regions' authorities. */
  readonly authorities: string | undefined;
  /** Members speak plaintext here: then borders prove nothing either. */
  readonly isInsecure: boolean;
  readonly log: Logger;
}

/** Whose credential came with a request. */
export interface Holder {
  readonly region: string;
  /** When it was signed, Unix ms, by the border's clock. */
  readonly sentMs: number;
}

export class Borders {
  readonly #options: BordersOptions;
  #authorities: Authorities = new Map();
  /** Told of already, by region; of the directory itself under no name. */
  #problems: ReadonlyMap<string, string> = new Map();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: BordersOptions) {
    this.#options = options;
  }

  /** Throws `config-invalid` when the directory cannot be used, or no file in it can. */
  static async open(options: BordersOptions): Promise<Borders> {
    const borders = new Borders(options);
    if (options.authorities !== undefined) {
      borders.#take(await readAuthorities(options.authorities));
      const [problem] = borders.#problems.values();
      if (problem !== undefined && borders.regions.length === 0) {
        throw new AppError("config-invalid", `no region's authorities can be used: ${problem}`, {
          hint: "Copy each region's ca.crt to borders.authorities, as <region>.crt.",
        });
      }
      borders.#lookLater(options.authorities);
    } else if (!options.isInsecure) {
      options.log.warn("no region may publish: borders.authorities is not set");
    }
    return borders;
  }

  /** Whose authorities are known: the regions that may publish. */
  get regions(): readonly string[] {
    return [...this.#authorities.keys()];
  }

  /** Of any region where nobody has to prove anything. */
  mayPublish(region: string): boolean {
    return this.#authorities.has(region) || this.#isOpen;
  }

  /** Which region signed the request; undefined where nobody has to. Throws `credential-refused`. */
  async holderOf(c: Context): Promise<Holder | undefined> {
    if (this.#isOpen) return undefined;
    const { pathname, search } = new URL(c.req.url);
    const request = { method: c.req.method, path: pathname + search, body: new Uint8Array(await c.req.arrayBuffer()) };
    const find = (region: string): readonly X509Certificate[] => this.#authorities.get(region) ?? [];
    const verified = await verifyRequest(c.req.header("authorization"), request, find, systemNow().wallMs);
    if (!("refused" in verified)) return { region: verified.region, sentMs: verified.atMs };
    throw new AppError("credential-refused", `the request is refused: ${verified.refused}`, {
      hint: "Copy the region's ca.crt to borders.authorities of the global agents, as <region>.crt.",
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  get #isOpen(): boolean {
    return this.#options.authorities === undefined && this.#options.isInsecure;
  }

  #lookLater(dir: string): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#look(dir).finally(() => this.#lookLater(dir)), LOOK_EVERY_MS);
  }

  /** What cannot be read leaves what was read before. */
  async #look(dir: string): Promise<void> {
    try {
      this.#take(await readAuthorities(dir, this.#authorities));
    } catch (thrown) {
      const problem = messageOf(thrown);
      if (problem !== this.#problems.get("")) {
        this.#options.log.warn({ problem }, "the regions' authorities stay as they are");
      }
      this.#problems = new Map([...this.#problems, ["", problem]]);
    }
  }

  /** A problem is told of once; a region that has nothing from before cannot publish until it is mended. */
  #take({ authorities, problems }: ReadAuthorities): void {
    const { log } = this.#options;
    for (const [region, problem] of problems) {
      if (problem === this.#problems.get(region)) continue;
      if (authorities.has(region)) log.warn({ region, problem }, "a region's authorities stay as they are");
      else log.error({ region, problem }, "a region cannot publish: its authorities cannot be used");
    }
    this.#authorities = authorities;
    this.#problems = problems;
  }
}
