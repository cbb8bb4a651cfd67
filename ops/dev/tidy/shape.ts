/** What a file looks like: sizes that fit a head, names that say something, an opening that says why, no leftovers. */
import ts from "typescript";
import { type Finding, findInTree, lineOf, type Rule, type Source, textWithoutLiterals } from "./source.js";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const EMPTY_NAMES = new Set(["util", "utils", "helper", "helpers", "common", "manager", "types", "misc", "shared"]);

const LEFTOVERS: readonly (readonly [RegExp, string])[] = [
  [/\b(TODO|FIXME|XXX|HACK)\b/g, "do it now, or describe the limit in a sentence"],
  [/@ts-(ignore|nocheck)\b/g, "fix the type, or say why with @ts-expect-error"],
  [/\b(test|it|describe|suite|bench)(\.\w+)*\.(only|skip|todo|fails)\b/g, "run the test, or give it a skipIf"],
];

export const filesAreShort: Rule = (source) => {
  const lines = source.text.trimEnd().split("\n").length;
  if (lines <= FILE_LINES_MAX) return [];
  return [{ line: FILE_LINES_MAX, say: `split it by noun: ${lines} lines, at most ${FILE_LINES_MAX}` }];
};

export const functionsAreShort: Rule = (source) =>
  findInTree(source, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined || isSuite(node)) return undefined;
    const lines = lineOf(source, node.end) - lineOf(source, node.getStart(source.file)) + 1;
    return lines > FUNCTION_LINES_MAX ? `split it: ${lines} lines, at most ${FUNCTION_LINES_MAX}` : undefined;
  });

export const namesSaySomething: Rule = (source) => {
  const empty = source.path.split("/").find((part) => EMPTY_NAMES.has(part.replace(/(\.test)?\.tsx?$/, "")));
  return empty === undefined ? [] : [{ line: 1, say: `name it after what is in it: ${empty} says nothing` }];
};

export const filesOpenWithAComment: Rule = (source) => {
  const opening = source.text.replace(/^#!.*\n/, "").trimStart();
  return /^\/[/*]/.test(opening) ? [] : [{ line: 1, say: "open with a comment: what this is and why it exists" }];
};

export const nothingIsLeftOver: Rule = (source) => [...leftoverWords(source), ...leftoverNodes(source)];

function leftoverWords(source: Source): Finding[] {
  const text = textWithoutLiterals(source);
  return LEFTOVERS.flatMap(([pattern, say]) =>
    [...text.matchAll(pattern)].map((match) => ({ line: lineOf(source, match.index), say: `${match[0]}: ${say}` })),
  );
}

function leftoverNodes(source: Source): Finding[] {
  return findInTree(source, (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) return "any: use unknown and narrow it, or name the type";
    if (ts.isCatchClause(node) && isBlank(source, node.block)) return "empty catch: handle it, or say why it is right";
    if (source.unit.startsWith("ops/") || !ts.isPropertyAccessExpression(node)) return undefined;
    const isConsole = ts.isIdentifier(node.expression) && node.expression.text === "console";
    return isConsole ? `console.${node.name.text}: return it, or emit an event` : undefined;
  });
}

function isBlank(source: Source, block: ts.Block): boolean {
  return /^\{\s*\}$/.test(block.getText(source.file));
}

/** The body of a `describe` is a list of tests, not a function anyone reads as one. */
function isSuite(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^(describe|suite)\b/.test(node.parent.expression.getText());
}
