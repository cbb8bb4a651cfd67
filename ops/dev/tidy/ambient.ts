/**
 * What a file may take from its surroundings. Time and chance come in through two files of `runtime`, so a run can be
 * replayed from a seed; arguments and environment come in through the programs, so a library has no hidden input.
 */
import ts from "typescript";
import { findInTree, type Rule, type Source } from "./source.js";

const CLOCK = "packages/runtime/src/clock.ts";
const ENTROPY = "packages/runtime/src/entropy.ts";
const PROGRAMS = new Set(["regional/src/main.ts", "global/src/main.ts", "packages/sim/src/main.ts"]);

const TIME = new Set(["Date.now", "performance.now", "performance.timeOrigin", "process.hrtime", "process.uptime"]);
const CHANCE = /^(randomUUID|randomBytes|randomInt|randomFill|randomFillSync|getRandomValues)$/;

export const timeComesFromTheClock: Rule = (source) => {
  if (source.path === CLOCK || isFree(source)) return [];
  return findInTree(source, (node) => {
    const name = readingOfTime(node);
    return name === undefined ? undefined : `take the time from ${CLOCK} or as an argument, not from ${name}`;
  });
};

export const chanceComesFromEntropy: Rule = (source) => {
  if (source.path === ENTROPY || isFree(source)) return [];
  return findInTree(source, (node) => {
    const isChance = dotted(node) === "Math.random" || (ts.isIdentifier(node) && CHANCE.test(node.text));
    return isChance ? `take it from ${ENTROPY} or a seeded Rng, not from ${node.getText(source.file)}` : undefined;
  });
};

export const inputsComeThroughPrograms: Rule = (source) => {
  if (PROGRAMS.has(source.path) || source.unit.startsWith("ops/") || source.isTest) return [];
  return findInTree(source, (node) => {
    const name = dotted(node);
    if (name !== "process.env" && name !== "process.argv") return undefined;
    return `take it as an argument: only the programs read ${name}`;
  });
};

/** `new Date(ms)` converts a time that was passed in; without arguments it reads the clock. */
function readingOfTime(node: ts.Node): string | undefined {
  const name = dotted(node);
  if (name !== undefined && TIME.has(name)) return name;
  const isDate = ts.isNewExpression(node) || ts.isCallExpression(node);
  if (!isDate || !ts.isIdentifier(node.expression) || node.expression.text !== "Date") return undefined;
  return (node.arguments?.length ?? 0) === 0 ? "new Date()" : undefined;
}

function dotted(node: ts.Node): string | undefined {
  if (!ts.isPropertyAccessExpression(node) || !ts.isIdentifier(node.expression)) return undefined;
  return `${node.expression.text}.${node.name.text}`;
}

/** Tests, benchmarks and the house's own tools measure the real world. */
function isFree(source: Source): boolean {
  return source.isTest || source.unit === "ops/bench" || source.unit === "ops/dev";
}
