/** `If-Match` and `If-None-Match` (RFC 9110, §13.1) as a condition of a write. */
import { AppError, type RowCondition } from "@patina/base";
import type { Context } from "hono";

/** A version tag as a header carries it. */
export function etagOf(tag: string): string {
  return `"${tag}"`;
}

/** What the request makes its writes depend on. Throws `bad-request` for headers that say nothing a write can keep. */
export function conditionOf(c: Context): RowCondition | undefined {
  const match = c.req.header("if-match")?.trim();
  const noneMatch = c.req.header("if-none-match")?.trim();
  if (noneMatch !== undefined && noneMatch !== "*") {
    throw new AppError("bad-request", "a write takes If-None-Match with * only", {
      hint: "Send If-None-Match: * to create an object that must not be there yet, or If-Match with a tag.",
    });
  }
  if (match !== undefined && noneMatch !== undefined) {
    throw new AppError("bad-request", "If-Match and If-None-Match exclude each other", { hint: "Send one of them." });
  }
  if (noneMatch !== undefined) return { kind: "absent" };
  if (match === undefined) return undefined;
  return match === "*" ? { kind: "exists" } : { kind: "at", tags: tagsIn(match) };
}

/** A tag is of one object: it cannot be the condition of several. Throws `bad-request`. */
export function refuseTagsOfMany(condition: RowCondition | undefined): void {
  if (condition?.kind !== "at") return;
  throw new AppError("bad-request", "If-Match names a version of one object, and the request has several", {
    hint: "Send objects with a version one by one. If-Match: * and If-None-Match: * may be sent with any number.",
  });
}

/** The tags of a header's list. A weak one (`W/"…"`) is never the same as a version, as the RFC has it. */
function tagsIn(header: string): string[] {
  const tag = /^(W\/)?"([^"]*)"$/;
  return header.split(",").flatMap((part) => {
    const [, weak, opaque] = tag.exec(part.trim()) ?? [];
    if (opaque === undefined) {
      throw new AppError("bad-request", `If-Match: ${part.trim()} is not an entity tag`, {
        hint: "Send the ETag as it came, with its quotes.",
      });
    }
    return weak === undefined ? [opaque] : [];
  });
}
