/** The source files of the house, parsed once, as the rules of tidy see them. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import ts from "typescript";

export interface Source {
  /** From the repository's root, with `/`. */
  readonly path: string;
  /** The workspace it belongs to: `base` for packages/base, `regional`, `ops/cli`. */
  readonly unit: string;
  readonly isTest: boolean;
  readonly text: string;
  readonly file: ts.SourceFile;
}

export interface Finding {
  readonly line: number;
  /** What to do instead. */
  readonly say: string;
}

export type Rule = (source: Source) => Finding[];

const HOUSES = ["packages", "regional", "global", "ops"];
const SKIPPED = new Set(["node_modules", "dist"]);

export function parse(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const [house = "", name = ""] = path.split("/");
  const unit = house === "packages" ? name : house === "ops" ? `ops/${name}` : house;
  return { path, unit, isTest: path.endsWith(".test.ts") || path.includes("/src/testing/"), text, file };
}

/** Every hand-written TypeScript file under `root`, in a stable order. */
export function readSources(root: string): Source[] {
  const paths = HOUSES.flatMap((house) => filesUnder(join(root, house)));
  return paths
    .filter((path) => /\.tsx?$/.test(path) && !/\.d\.ts$|\.generated\.ts$/.test(path))
    .map((path) => parse(relative(root, path).replaceAll(sep, "/"), readFileSync(path, "utf8")));
}

export function lineOf(source: Source, position: number): number {
  return source.file.getLineAndCharacterOfPosition(position).line + 1;
}

/** Calls `visit` on every node; the findings of all of them, in the order of the file. */
export function findInTree(source: Source, visit: (node: ts.Node) => string | undefined): Finding[] {
  const findings: Finding[] = [];
  const walk = (node: ts.Node): void => {
    const say = visit(node);
    if (say !== undefined) findings.push({ line: lineOf(source, node.getStart(source.file)), say });
    ts.forEachChild(node, walk);
  };
  walk(source.file);
  return findings;
}

/** The text with the contents of string, template and regular-expression literals blanked: code and comments stay. */
export function textWithoutLiterals(source: Source): string {
  const parts: string[] = [];
  let at = 0;
  const walk = (node: ts.Node): void => {
    if (ts.isLiteralExpression(node) || ts.isTemplateMiddleOrTemplateTail(node) || ts.isTemplateHead(node)) {
      const start = node.getStart(source.file);
      parts.push(source.text.slice(at, start), source.text.slice(start, node.end).replace(/[^\n]/g, " "));
      at = node.end;
    }
    ts.forEachChild(node, walk);
  };
  walk(source.file);
  return parts.join("") + source.text.slice(at);
}

/** A module named by an import, an export-from, a dynamic import or an import type, and where. */
export interface Import {
  readonly module: string;
  readonly line: number;
}

export function importsOf(source: Source): Import[] {
  const imports: Import[] = [];
  const walk = (node: ts.Node): void => {
    const named = moduleNamedBy(node);
    if (named !== undefined) imports.push({ module: named.text, line: lineOf(source, named.getStart(source.file)) });
    ts.forEachChild(node, walk);
  };
  walk(source.file);
  return imports;
}

function moduleNamedBy(node: ts.Node): ts.StringLiteralLike | undefined {
  const named =
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
        ? node.arguments[0]
        : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
          ? node.argument.literal
          : undefined;
  return named !== undefined && ts.isStringLiteralLike(named) ? named : undefined;
}

function filesUnder(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).filter(({ name }) => !SKIPPED.has(name));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesUnder(path) : entry.isFile() ? [path] : [];
  });
}
