/** How far a restore is, with its rate and what remains: a bar at a terminal, lines of JSON elsewhere; both beside the result. */
import type { Progress } from "@patina/checkpoint";
import { systemNow } from "@patina/runtime";
import { SingleBar } from "cli-progress";
import { note, type OutputFormat } from "./output.js";

export interface RestoreProgress {
  show(agent: string, progress: Progress): void;
  end(): void;
}

const LINE_EVERY_MS = 1000;

export function restoreProgress(output: OutputFormat): RestoreProgress {
  return process.stderr.isTTY && output === "table" ? new Bar() : new Lines();
}

class Rate {
  #beganMs = 0;
  #agent = "";

  /** Bytes a second, and the seconds that remain, of the agent that is being restored. */
  of(agent: string, { done, total }: Progress): { readonly rate: number; readonly remainingS: number | null } {
    const nowMs = systemNow().monotonicMs;
    if (agent !== this.#agent) [this.#agent, this.#beganMs] = [agent, nowMs];
    const elapsedMs = Math.max(1, nowMs - this.#beganMs);
    const remainingS = done === 0 ? null : Math.round(((total - done) * elapsedMs) / done / 1000);
    return { rate: Math.round((done * 1000) / elapsedMs), remainingS };
  }
}

class Lines implements RestoreProgress {
  readonly #rate = new Rate();
  #told = "";
  #toldMs = 0;

  show(agent: string, progress: Progress): void {
    const { phase, done, total } = progress;
    const { rate, remainingS } = this.#rate.of(agent, progress);
    const nowMs = systemNow().monotonicMs;
    if (this.#told === agent + phase && nowMs - this.#toldMs < LINE_EVERY_MS) return;
    [this.#told, this.#toldMs] = [agent + phase, nowMs];
    note(JSON.stringify({ agent, phase, done, total, bytes_per_s: rate, remaining_s: remainingS }));
  }

  end(): void {
    this.#told = "";
  }
}

class Bar implements RestoreProgress {
  readonly #rate = new Rate();
  readonly #bar = new SingleBar({
    format: "{agent} {phase} {bar} {percentage}%  {rate} MiB/s  {left} left",
    hideCursor: true,
    clearOnComplete: true,
    barsize: 30,
    barCompleteChar: "█",
    barIncompleteChar: "░",
  });
  #isStarted = false;

  show(agent: string, progress: Progress): void {
    const { phase, done, total } = progress;
    const { rate, remainingS } = this.#rate.of(agent, progress);
    const left = remainingS === null ? "?" : `${remainingS} s`;
    const payload = { agent, phase, rate: (rate / 2 ** 20).toFixed(1), left };
    if (!this.#isStarted) this.#bar.start(total, done, payload);
    this.#isStarted = true;
    this.#bar.setTotal(total);
    this.#bar.update(done, payload);
  }

  end(): void {
    if (this.#isStarted) this.#bar.stop();
  }
}
