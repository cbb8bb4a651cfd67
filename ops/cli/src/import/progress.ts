/** How far an import is: a bar for a person at a terminal, JSON lines for a program, now and then a line for a log. */
import { systemNow } from "@patina/runtime";
import { SingleBar } from "cli-progress";
import { note, type OutputFormat } from "../output.js";
import type { LoadState } from "./load-table.js";

/** A program hears of it this often at most; a log less often. */
const JSON_EVERY_MS = 1000;
const NOTE_EVERY_MS = 10_000;

export interface ImportProgress {
  update(state: LoadState, bytesRead: number): void;
  end(): void;
}

/** `bytes` is the size of the input, when it is known: without it nobody can say what remains. */
export function importProgress(output: OutputFormat, bytes: number | undefined): ImportProgress {
  if (output === "json") return new Lines(JSON_EVERY_MS, bytes, (line) => process.stdout.write(`${line}\n`), asJson);
  return process.stderr.isTTY ? new Bar(bytes) : new Lines(NOTE_EVERY_MS, bytes, note, asText);
}

interface Figures extends LoadState {
  readonly rate: number;
  readonly remainingS: number | undefined;
}

function figures(state: LoadState, beganMs: number, bytesRead: number, bytes: number | undefined): Figures {
  const elapsedMs = Math.max(1, systemNow().monotonicMs - beganMs);
  const left = bytes === undefined || bytesRead === 0 ? undefined : Math.max(0, bytes - bytesRead) / bytesRead;
  return {
    ...state,
    rate: Math.round((state.read * 1000) / elapsedMs),
    remainingS: left === undefined ? undefined : Math.round((left * elapsedMs) / 1000),
  };
}

function asJson({ line, read, changed, rate, remainingS }: Figures): string {
  return JSON.stringify({
    committed_lines: line,
    rows_read: read,
    rows_changed: changed,
    rows_per_s: rate,
    remaining_s: remainingS ?? null,
  });
}

function asText({ read, rate, remainingS }: Figures): string {
  return `${read} rows, ${rate}/s${remainingS === undefined ? "" : `, ${remainingS} s left`}`;
}

class Bar implements ImportProgress {
  readonly #bar: SingleBar;
  readonly #bytes: number | undefined;
  readonly #beganMs = systemNow().monotonicMs;

  constructor(bytes: number | undefined) {
    this.#bytes = bytes;
    const known = "{bar} {percentage}%  {rows} rows  {rate}/s  {left} left";
    this.#bar = new SingleBar({
      format: bytes === undefined ? "{rows} rows  {rate}/s" : known,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 30,
      barCompleteChar: "█",
      barIncompleteChar: "░",
    });
    this.#bar.start(bytes ?? 0, 0, { rows: 0, rate: 0, left: "?" });
  }

  update(state: LoadState, bytesRead: number): void {
    const { read, rate, remainingS = 0 } = figures(state, this.#beganMs, bytesRead, this.#bytes);
    const left = remainingS < 100 ? `${remainingS} s` : `${Math.round(remainingS / 60)} min`;
    this.#bar.update(bytesRead, { rows: read, rate, left });
  }

  end(): void {
    this.#bar.stop();
  }
}

class Lines implements ImportProgress {
  readonly #everyMs: number;
  readonly #bytes: number | undefined;
  readonly #say: (line: string) => void;
  readonly #text: (figures: Figures) => string;
  readonly #beganMs = systemNow().monotonicMs;
  #saidMs = systemNow().monotonicMs;

  constructor(
    everyMs: number,
    bytes: number | undefined,
    say: (line: string) => void,
    text: (figures: Figures) => string,
  ) {
    this.#everyMs = everyMs;
    this.#bytes = bytes;
    this.#say = say;
    this.#text = text;
  }

  update(state: LoadState, bytesRead: number): void {
    const { monotonicMs } = systemNow();
    if (monotonicMs - this.#saidMs < this.#everyMs) return;
    this.#saidMs = monotonicMs;
    this.#say(this.#text(figures(state, this.#beganMs, bytesRead, this.#bytes)));
  }

  end(): void {
    return;
  }
}
