/**
 * Notices that the generation of this agent is over: an operator rolled the cluster back or restored it. The record in the
 * object store decides, so nobody who can reach the API can make an agent throw its data away.
 *
 * It looks when it is asked to, now and then, and often while no other member answers: members of another generation do not.
 */
import { latestGeneration, type ObjectStore } from "@patina/checkpoint";
import { AppError } from "@patina/base";

export interface GenerationWatchOptions {
  readonly objects: ObjectStore;
  readonly cluster: { readonly name: string; readonly generation: number };
  readonly isAlone: () => boolean;
  /** The process must end: its next start begins from the record's checkpoint. */
  readonly onSuperseded: (error: AppError) => void;
  /** Told why it could not look. */
  readonly onFailed: (error: unknown) => void;
}

const ALONE_EVERY_MS = 30_000;
/** Of these looks, one in so many is made while others do answer. */
const ROUTINE_EVERY = 40;

export class GenerationWatch {
  readonly #options: GenerationWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #looks = 0;

  constructor(options: GenerationWatchOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#lookInTurn(), ALONE_EVERY_MS);
  }

  /** The newest generation on record; the agent is told to end when that is not its own. Throws as the store does. */
  async check(): Promise<number> {
    const { objects, cluster, onSuperseded } = this.#options;
    const opened = await latestGeneration(objects, cluster.name);
    if (opened === undefined || opened.generation <= cluster.generation) return cluster.generation;
    const { generation, by, reason } = opened;
    onSuperseded(
      new AppError(
        "generation-over",
        `generation ${cluster.generation} of ${cluster.name} is over: ${by} opened ${generation} (${reason})`,
        {
          hint: "Start the agent again: it begins from the checkpoint of that generation, and keeps the old data aside.",
        },
      ),
    );
    return generation;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #lookInTurn(): Promise<void> {
    const isDue = this.#looks++ % ROUTINE_EVERY === 0 || this.#options.isAlone();
    if (!isDue) return;
    try {
      await this.check();
    } catch (thrown) {
      this.#options.onFailed(thrown);
    }
  }
}
