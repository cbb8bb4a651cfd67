/**
 * The API as an OpenAPI 3.1 document: what each route is for, what it takes and how it answers, from descriptions that lie
 * beside each other in one file a tier. An agent serves the document of the very routes that it has: one that is not
 * described, or described and not there, ends its start.
 */
import { assert, must } from "@patina/base";
import { z } from "zod";

export interface Operation {
  readonly summary: string;
  /** Parameters of the query, and what each is for. */
  readonly query?: Readonly<Record<string, string>>;
  /** What its body must be. */
  readonly body?: z.ZodType;
  /** What its answer is. */
  readonly answer?: z.ZodType;
  /** Of the body and of the answer, where it is not JSON. */
  readonly takes?: string;
  readonly gives?: string;
  /** Statuses that are an answer here, besides 200. Any other is a problem. */
  readonly answers?: Readonly<Record<number, string>>;
}

/** By method and path as they are registered: `GET /v1/members`. */
export type Operations = Readonly<Record<string, Operation>>;

const JSON_TYPE = "application/json";

const PROBLEM = {
  type: "object",
  required: ["type", "title", "status", "detail", "code"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", description: "Stable: programs may tell errors apart by it." },
    hint: { type: "string", description: "What to do." },
  },
};

/** `routes` as hono has registered them; what stands there for all methods is no route of its own. */
export function openApiDocument(
  routes: readonly { readonly method: string; readonly path: string }[],
  operations: Operations,
): Readonly<Record<string, unknown>> {
  const registered = new Set(routes.filter(({ method }) => method !== "ALL").map((it) => `${it.method} ${it.path}`));
  for (const route of Object.keys(operations)) assert(registered.has(route), `${route}, which is described, is there`);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of registered) {
    const [method = "", path = ""] = route.split(" ");
    const item = (paths[path.replaceAll(/:(\w+)/g, "{$1}")] ??= {});
    item[method.toLowerCase()] = operationOf(path, must(operations[route], `a description of ${route}`));
  }
  return {
    openapi: "3.1.0",
    info: { title: "Patina", version: "1", description: "What runs where, across regions." },
    paths,
    components: { schemas: { Problem: PROBLEM } },
  };
}

function operationOf(path: string, operation: Operation): unknown {
  const { summary, query = {}, body, answer, takes, gives, answers = {} } = operation;
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => {
    return { name, in: "path", required: true, schema: { type: "string" } };
  });
  const inQuery = Object.entries(query).map(([name, description]) => {
    return { name, in: "query", description, schema: { type: "string" } };
  });
  const content = { [gives ?? JSON_TYPE]: answer === undefined ? {} : { schema: schemaOf(answer, "output") } };
  const others = Object.entries(answers).map(([status, description]) => [status, { description, content }]);
  const schema = body === undefined ? {} : schemaOf(body, "input");
  const hasBody = body !== undefined || takes !== undefined;
  return {
    summary,
    ...(inPath.length + inQuery.length === 0 ? {} : { parameters: [...inPath, ...inQuery] }),
    ...(hasBody ? { requestBody: { required: true, content: { [takes ?? JSON_TYPE]: { schema } } } } : {}),
    responses: {
      200: { description: "What was asked for.", content },
      ...(Object.fromEntries(others) as object),
      default: {
        description: "A problem, as RFC 9457 has it.",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function schemaOf(type: z.ZodType, io: "input" | "output"): object {
  return z.toJSONSchema(type, { io, unrepresentable: "any" });
}
