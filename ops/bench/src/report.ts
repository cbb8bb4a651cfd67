/** What a run has to say: figures, each beside what it is to be compared with, as a table or as lines of JSON. */
import { median, medianRatio } from "./rounds.js";

/** What must reach the goal, the figure itself or its ratio to the peer, and from which side. */
export type Goal =
  | { readonly of: "value" | "ratio"; readonly atLeast: number }
  | { readonly of: "value" | "ratio"; readonly atMost: number };

export interface Figure {
  readonly name: string;
  /** Null for what could not be measured here; the name says why. */
  readonly value: number | null;
  readonly unit: string;
  /** The peer or physical limit, measured in the same run; often a figure of its own, by that name. */
  readonly versus: string | null;
  /** How many times as good as `versus`, whichever way the unit counts: 1 is equal, 2 is twice as good. */
  readonly ratio: number | null;
  readonly goal: Goal | null;
}

/** One contender's results, a value a round. */
export interface Measured {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
}

export interface Comparison {
  readonly versus: Measured;
  /** Rates count up, times count down. */
  readonly better: "more" | "less";
  readonly goal?: Goal;
}

/** The median of the rounds, and the median of each round's ratio to the peer of that round. */
export function figure({ name, unit, values }: Measured, comparison?: Comparison): Figure {
  const value = median(values);
  if (comparison === undefined) return { name, value, unit, versus: null, ratio: null, goal: null };
  const { versus, better, goal = null } = comparison;
  const ratio = better === "more" ? medianRatio(values, versus.values) : medianRatio(versus.values, values);
  return { name, value, unit, versus: versus.name, ratio, goal };
}

/** A figure by itself, with what it must reach. */
export function figureAlone(measured: Measured, goal: Goal): Figure {
  return { ...figure(measured), goal };
}

export function unmeasured(name: string): Figure {
  return { name, value: null, unit: "", versus: null, ratio: null, goal: null };
}

/** Undefined when there is nothing to reach. */
function reached({ value, ratio, goal }: Figure): boolean | undefined {
  if (goal === null) return undefined;
  const actual = goal.of === "value" ? value : ratio;
  if (actual === null) return false;
  return "atLeast" in goal ? actual >= goal.atLeast : actual <= goal.atMost;
}

/** One line of JSON: `{suite, name, value, unit, versus, ratio, goal, ok}`. */
export function jsonLine(suite: string, it: Figure): string {
  const { name, value, unit, versus, ratio } = it;
  const goal = it.goal === null ? null : goalText(it.goal);
  return JSON.stringify({ suite, name, value, unit, versus, ratio, goal, ok: reached(it) ?? null });
}

const HEADINGS = ["name", "value", "unit", "versus", "ratio", "goal", "ok"];
/** Columns that are numbers line up on the right. */
const NUMBERS: ReadonlySet<number> = new Set([1, 4]);

export function table(suite: string, figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) => {
    const padded = row.map((cell, i) => (NUMBERS.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)));
    return `  ${padded.join("  ")}`.trimEnd();
  });
  return `${suite}\n${lines.join("\n")}\n`;
}

function cells(it: Figure): string[] {
  const { name, value, unit, versus, ratio, goal } = it;
  const isReached = reached(it);
  return [
    name,
    value === null ? "–" : numberText(value),
    unit,
    versus ?? "",
    ratio === null ? "" : `${numberText(ratio)}×`,
    goal === null ? "" : goalText(goal),
    isReached === undefined ? "" : isReached ? "yes" : "MISSED",
  ];
}

function goalText(goal: Goal): string {
  return "atLeast" in goal ? `${goal.of} >= ${goal.atLeast}` : `${goal.of} <= ${goal.atMost}`;
}

/** Three digits that mean something; more would claim a precision that a shared machine does not have. */
function numberText(value: number): string {
  if (value !== 0 && Math.abs(value) < 100) return value.toPrecision(3);
  return Number(value.toPrecision(3)).toLocaleString("en-US", { maximumFractionDigits: 0 });
}
