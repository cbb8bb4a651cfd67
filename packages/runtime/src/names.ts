/**
 * Names of hosts as addresses, remembered, so that datagrams go on while the DNS does not answer: without that, an outage of the
 * DNS would silence a cluster that is well. A name is asked for again in the background, and what it last meant is used meanwhile.
 *
 * Bounded: so many names, so many that are asked for at once (a lookup holds one of the few threads that files need, too), and
 * so much that waits for a name's first answer.
 */
import { lookup as systemLookup, V4MAPPED } from "node:dns";
import { isIP } from "node:net";

/** Calls back with the address, or with undefined when there is no answer. */
export type Lookup = (host: string, family: 4 | 6, done: (address: string | undefined) => void) => void;

export interface NamesOptions {
  /** Of the socket that sends: an IPv6 one reaches IPv4 addresses as well. */
  readonly family: 4 | 6;
  readonly monotonicMs: () => number;
  readonly lookup?: Lookup;
}

interface Known {
  address: string | undefined;
  askedMs: number;
  isAsked: boolean;
  readonly waiting: ((address: string) => void)[];
}

const FRESH_MS = 30_000;
/** One that had no answer is asked for sooner. */
const RETRY_MS = 2000;
const NAMES_MAX = 4096;
const LOOKUPS_MAX = 2;
const WAITING_MAX = 64;

export class Names {
  readonly #options: NamesOptions;
  readonly #lookup: Lookup;
  readonly #known = new Map<string, Known>();
  #lookups = 0;

  constructor(options: NamesOptions) {
    this.#options = options;
    this.#lookup = options.lookup ?? lookUp;
  }

  /** Calls `use` with the address: at once when it is known, later when it is asked for, and never when there is none. */
  resolve(host: string, use: (address: string) => void): void {
    const literal = isIP(host);
    if (literal !== 0) return use(literal === 4 && this.#options.family === 6 ? `::ffff:${host}` : host);
    const known = this.#entry(host);
    const ageMs = this.#options.monotonicMs() - known.askedMs;
    const isDue = ageMs > (known.address === undefined ? RETRY_MS : FRESH_MS);
    if (isDue && !known.isAsked && this.#lookups < LOOKUPS_MAX) this.#ask(host, known);
    if (known.address !== undefined) use(known.address);
    else if (known.isAsked && known.waiting.length < WAITING_MAX) known.waiting.push(use);
  }

  #entry(host: string): Known {
    const found = this.#known.get(host);
    if (found !== undefined) return found;
    const [oldest] = this.#known.keys();
    if (this.#known.size >= NAMES_MAX && oldest !== undefined) this.#known.delete(oldest);
    const known: Known = { address: undefined, askedMs: -Infinity, isAsked: false, waiting: [] };
    this.#known.set(host, known);
    return known;
  }

  #ask(host: string, known: Known): void {
    this.#lookups++;
    known.isAsked = true;
    this.#lookup(host, this.#options.family, (address) => {
      this.#lookups--;
      known.isAsked = false;
      known.askedMs = this.#options.monotonicMs();
      known.address = address ?? known.address;
      const waiting = known.waiting.splice(0);
      if (known.address !== undefined) for (const use of waiting) use(known.address);
    });
  }
}

const lookUp: Lookup = (host, family, done) => {
  systemLookup(host, { family, ...(family === 6 ? { hints: V4MAPPED } : {}) }, (error, address) => {
    done(error === null ? address : undefined); // Silence is how membership learns of it, as of everything else.
  });
};
