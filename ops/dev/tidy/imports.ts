/**
 * Who may import whom. Packages lie in layers and import downwards only; the pure ones reach nothing but each other,
 * which is what lets a simulation run the very classes that production runs.
 */
import { dirname, join } from "node:path/posix";
import { type Finding, type Import, importsOf, type Rule, type Source } from "./source.js";

/** From the ground up. A unit may import any unit of a lower layer. */
const LAYERS: readonly (readonly string[])[] = [
  ["base"],
  ["membership", "gossip", "summary", "router", "store", "security"],
  ["agent", "subscriptions"],
  ["runtime", "sim", "api", "checkpoint", "telemetry"],
  ["process"],
  ["regional", "global"],
  ["ops"],
];

/** Imports within one layer that were argued for, as `from → to`, each with its reason. */
const SIDEWAYS: ReadonlyMap<string, string> = new Map([
  ["ops/bench → ops/scenarios", "both start clusters of real agents, and what is measured is what is put to the test"],
]);

const PURE: ReadonlySet<string> = new Set(["base", "membership", "gossip", "summary", "router", "agent"]);

/** What a test of a pure package may use beside the package. */
const TEST_TOOLS = /^(node:|vitest$|fast-check$)/;

export const importsPointDown: Rule = (source) =>
  check(source, ({ module }) => {
    const target = unitNamed(module);
    if (target === undefined || target === source.unit) return undefined;
    const [from, to] = [layerOf(source.unit), layerOf(target)];
    if (to === -1) return `import a package that exists: ${module} is none of the layers in ops/dev/tidy/imports.ts`;
    if (from > to || SIDEWAYS.has(`${source.unit} → ${target}`)) return undefined;
    const way = from === to ? "sideways" : "upwards";
    return `do not import ${way} (${source.unit} → ${target}): move what both need to a lower layer, or pass it in`;
  });

export const pureImportsPure: Rule = (source) => {
  if (!PURE.has(source.unit)) return [];
  return check(source, ({ module }) => {
    if (module.startsWith(".") || (source.isTest && TEST_TOOLS.test(module))) return undefined;
    const target = unitNamed(module);
    if (target !== undefined && PURE.has(target)) return undefined;
    return `declare a port instead of importing ${module}: ${source.unit} is pure and knows only pure packages`;
  });
};

/** Parts that a package offers by themselves: who only calls the API does not load the server. */
const PARTS = new Set(["@patina/api/client"]);

export const packagesAreImportedByName: Rule = (source) =>
  check(source, ({ module }) => {
    const isMeasuring = source.isTest || source.unit === "ops/bench";
    if (isMeasuring && /^@patina\/[^/]+\/testing$/.test(module)) return undefined; // What a package offers tests.
    if (/^@patina\/[^/]+\//.test(module) && !PARTS.has(module)) return `import the package by its name, not ${module}`;
    const target = unitNamed(module);
    if (target !== undefined && target === source.unit) return `import the file, not ${module}, inside the package`;
    if (!module.startsWith(".")) return undefined;
    const home = source.unit === "ops/dev" ? "ops/dev/" : source.path.slice(0, source.path.indexOf("/src/") + 5);
    if (!join(dirname(source.path), module).startsWith(home)) return `import the package by its name, not ${module}`;
    if (/(^|\/)index\.js$/.test(module)) return `import the file that defines it, not ${module}`;
    return undefined;
  });

function check(source: Source, complain: (imported: Import) => string | undefined): Finding[] {
  return importsOf(source).flatMap((imported) => {
    const say = complain(imported);
    return say === undefined ? [] : [{ line: imported.line, say }];
  });
}

function unitNamed(module: string): string | undefined {
  const name = /^@patina\/([^/]+)/.exec(module)?.[1];
  return ["cli", "bench", "dashboard", "scenarios"].includes(name ?? "") ? `ops/${name}` : name;
}

function layerOf(unit: string): number {
  return LAYERS.findIndex((units) => units.includes(unit.split("/", 1)[0] ?? ""));
}
