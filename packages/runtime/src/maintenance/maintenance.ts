/** The maintenance thread of an agent: keeps the write-ahead log short without stalling writers, and adds up what is in it. */
import type { Bucket, ScrubFinding } from "@patina/store";
import { AskedThread } from "../threads/asked-thread.js";
import type { MaintenanceRequest } from "./protocol.js";

const CHECKPOINT_WAL_EVERY_MS = 500;
/** Every so often the log is also cut to nothing, which needs a moment without readers. */
const TRUNCATE_EVERY = 20;
/** A log longer than this is cut as soon as may be. Far below where the store stops taking writes (`walBytesMax`). */
const WAL_LONG_BYTES = 256 << 20;

export class Maintenance {
  readonly #thread: AskedThread<MaintenanceRequest>;
  /** Reads whole tables, when somebody asks: the log must be kept short meanwhile. */
  #checks: AskedThread<MaintenanceRequest> | undefined;
  readonly #startChecks: () => AskedThread<MaintenanceRequest>;
  #rounds = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(path: string, walLongBytes = WAL_LONG_BYTES) {
    const program = new URL("./maintenance.worker.js", import.meta.url);
    const start = (what: string): AskedThread<MaintenanceRequest> => {
      return new AskedThread(program, { path, walLongBytes }, what);
    };
    this.#thread = start("maintenance");
    this.#startChecks = () => start("checking");
    this.#scheduleCheckpoint();
  }

  /** Recomputes every row's hash. No findings: the file holds what its digest says. */
  async scrub(): Promise<readonly ScrubFinding[]> {
    return ((await this.#check({ kind: "scrub" })) as { findings: readonly ScrubFinding[] }).findings;
  }

  /** The rows of one bucket, and what they add up to. */
  async readBucket(table: string, bucket: number): Promise<Bucket> {
    return (await this.#check({ kind: "read-bucket", table, bucket })) as Bucket;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await Promise.all([this.#thread.close(), this.#checks?.close()]);
  }

  async #check(request: MaintenanceRequest): Promise<unknown> {
    if (this.#isClosed) return this.#thread.ask(request); // It says that it is closed.
    return (this.#checks ??= this.#startChecks()).ask(request);
  }

  #scheduleCheckpoint(): void {
    this.#timer = setTimeout(() => {
      const request = { kind: "checkpoint-wal", truncate: ++this.#rounds % TRUNCATE_EVERY === 0 } as const;
      // A checkpoint that finds the database busy is simply done by the next one.
      const again = (): void => (this.#isClosed ? undefined : this.#scheduleCheckpoint());
      this.#thread.ask(request).then(again, again);
    }, CHECKPOINT_WAL_EVERY_MS);
  }
}
