/** The bucket that infra/terraform makes, held to its promises without Terraform: parsed, and looked through. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import hcl from "hcl2-parser";
import { describe, expect, test } from "vitest";

const directory = fileURLToPath(new URL("../../infra/terraform", import.meta.url));

interface Statement {
  readonly effect?: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly condition?: readonly {
    readonly test: string;
    readonly variable: string;
    readonly values: readonly string[];
  }[];
}

interface Policy {
  readonly statement: readonly Statement[];
  readonly source_policy_documents?: readonly string[];
}

type Blocks<T> = Readonly<Record<string, Readonly<Record<string, readonly T[]>>>>;

interface Document {
  readonly resource?: Blocks<Readonly<Record<string, unknown>>>;
  readonly data?: Blocks<Policy>;
  readonly variable?: Readonly<Record<string, readonly { readonly description?: string }[]>>;
  readonly output?: Readonly<Record<string, readonly { readonly description?: string; readonly value: string }[]>>;
}

const documents = readdirSync(directory)
  .filter((name) => name.endsWith(".tf"))
  .map((name) => ({ name, text: readFileSync(join(directory, name), "utf8") }))
  .map(({ name, text }) => ({ name, text, parsed: (hcl.parseToObject(text) as readonly [Document | null])[0] }));

const resource = (type: string, name = "checkpoints"): Readonly<Record<string, unknown>> => {
  const found = documents.flatMap(({ parsed }) => parsed?.resource?.[type]?.[name] ?? []);
  expect(found, `${type}.${name}`).toHaveLength(1);
  return found[0] ?? {};
};

const policy = (name: string): Policy => {
  const found = documents.flatMap(({ parsed }) => parsed?.data?.["aws_iam_policy_document"]?.[name] ?? []);
  expect(found, name).toHaveLength(1);
  return found[0] ?? { statement: [] };
};

/** What an identity may do, what it takes over from other documents included. */
const actionsOf = (name: string): string[] => {
  const { statement, source_policy_documents: sources = [] } = policy(name);
  const inherited = sources.map((source) => /aws_iam_policy_document\.(\w+)\.json/.exec(source)?.[1] ?? "");
  return [...statement.flatMap(({ actions }) => actions), ...inherited.flatMap(actionsOf)].sort();
};

test("every file parses, and every variable and output is explained", () => {
  expect(documents.length).toBeGreaterThan(0);
  for (const { name, parsed } of documents) {
    expect(parsed, name).not.toBeNull();
    for (const [block] of Object.values({ ...parsed?.variable, ...parsed?.output })) {
      expect(block?.description, name).toMatch(/\.$/);
    }
  }
});

test("every name that is referred to is declared", () => {
  const all = documents.map(({ text }) => text).join("\n");
  const declared = new Set(
    [...all.matchAll(/^(?:resource|data) "(\w+)" "(\w+)"/gm)].map(([, type, name]) => `${type}.${name}`),
  );
  const variables = new Set([...all.matchAll(/^variable "(\w+)"/gm)].map(([, name]) => name));
  for (const [, reference = ""] of all.matchAll(/\b(aws_\w+\.\w+)\./g)) expect(declared).toContain(reference);
  for (const [, name] of all.matchAll(/\bvar\.(\w+)/g)) expect(variables).toContain(name);
});

describe("the bucket", () => {
  test("keeps versions, is encrypted and public to nobody", () => {
    expect(resource("aws_s3_bucket")).toMatchObject({ force_destroy: false });
    expect(resource("aws_s3_bucket_versioning")).toMatchObject({ versioning_configuration: [{ status: "Enabled" }] });
    const encryption = resource("aws_s3_bucket_server_side_encryption_configuration");
    expect(JSON.stringify(encryption)).toContain('"sse_algorithm":"AES256"');
    const { bucket: _, ...blocks } = resource("aws_s3_bucket_public_access_block");
    expect(Object.values(blocks)).toEqual([true, true, true, true]);
  });

  test("clears away stale uploads, and expires nothing that is current", () => {
    const { rule } = resource("aws_s3_bucket_lifecycle_configuration") as { rule: readonly Record<string, unknown>[] };
    const uploads = rule.find((each) => "abort_incomplete_multipart_upload" in each);
    expect(uploads).toMatchObject({
      status: "Enabled",
      abort_incomplete_multipart_upload: [{ days_after_initiation: 1 }],
    });
    for (const { expiration } of rule) expect(JSON.stringify(expiration ?? "")).not.toMatch(/"days"|"date"/);
  });

  test("refuses plaintext, old TLS, and writes that could overwrite, to everybody", () => {
    expect(resource("aws_s3_bucket_policy")["policy"]).toContain("aws_iam_policy_document.refusals.json");
    const { statement } = policy("refusals");
    expect(statement.map(({ effect }) => effect)).toEqual(["Deny", "Deny", "Deny"]);
    expect(statement.map(({ condition }) => condition?.[0])).toEqual([
      { test: "Bool", variable: "aws:SecureTransport", values: ["false"] },
      { test: "NumericLessThan", variable: "s3:TlsVersion", values: ["1.2"] },
      { test: "Null", variable: "s3:if-none-match", values: ["true"] },
    ]);
    for (const { actions, resources } of statement.slice(0, 2)) {
      expect(actions).toEqual(["s3:*"]);
      expect(resources).toHaveLength(2); // The bucket itself and everything in it.
    }
  });
});

describe("identities", () => {
  test("an agent deletes nothing, and the pruner writes nothing but trash lists", () => {
    expect(actionsOf("writer").filter((action) => /Delete|\*/.test(action))).toEqual([]);
    expect(actionsOf("writer")).toEqual(expect.arrayContaining(["s3:GetObject", "s3:ListBucket", "s3:PutObject"]));
    expect(actionsOf("pruner")).toEqual(["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]);
    const writing = policy("pruner").statement.filter(({ actions }) => actions.includes("s3:PutObject"));
    const [marks, probe] = [expect.stringMatching(/\/v1\/\*\/trash\/\*$/), expect.stringMatching(/\/\.create-only$/)];
    expect(writing.map(({ resources }) => resources)).toEqual([[marks, probe]]);
    // The name that every process writes before its first object.
    const store = readFileSync(join(directory, "../../packages/checkpoint/src/s3/s3-object-store.ts"), "utf8");
    expect(store).toContain('CREATE_ONLY_PROBE = ".create-only"');
  });

  test("both reach the prefix only", () => {
    for (const { actions, resources, condition } of ["writer", "pruner", "list"].flatMap(
      (name) => policy(name).statement,
    )) {
      if (actions.some((action) => action.endsWith("Object"))) {
        for (const each of resources)
          expect(each).toMatch(/\/\$\{var\.prefix\}\/((v1\/\*\/trash\/)?\*|\.create-only)$/);
      }
      if (actions.includes("s3:ListBucket"))
        expect(condition?.[0]?.values).toEqual([expect.stringMatching(/^\$\{var\.prefix\}\/\*$/)]);
    }
  });
});
