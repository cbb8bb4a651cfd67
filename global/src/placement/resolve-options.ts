/** What a caller may ask of a resolution, as the query of `/v1/apps/:app/placement` has it. */
import { AppError } from "@patina/base";
import type { Near, ResolveOptions, Token } from "@patina/router";

/** Throws `bad-request` for what it does not understand: a bound that is ignored is worse than none. */
export function resolveOptions(query: (name: string) => string | undefined): ResolveOptions {
  const near = query("near");
  const regions = query("regions")?.split(",");
  const maxAge = query("max_age");
  const wait = query("wait");
  const require = query("require");
  if (require !== undefined && require !== "live") {
    throw new AppError("bad-request", `require=${require} is not known`, { hint: "Write ?require=live." });
  }
  return {
    ...(near === undefined ? {} : { near: nearOf(near) }),
    ...(regions === undefined ? {} : { regions }),
    ...(maxAge === undefined ? {} : { maxAgeMs: maxAgeMsOf(maxAge) }),
    ...(require === undefined ? {} : { requireLive: true }),
    ...(wait === undefined ? {} : { wait: tokenOf(wait) }),
  };
}

function maxAgeMsOf(text: string): number {
  const seconds = text === "" ? NaN : Number(text);
  if (seconds >= 0) return seconds * 1000;
  throw new AppError("bad-request", `max_age=${text} is not a number of seconds`, { hint: "Write ?max_age=5." });
}

function nearOf(text: string): Near {
  if (!text.includes(",")) return text;
  const [lat = NaN, lon = NaN, ...more] = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (more.length === 0 && Math.abs(lat) <= 90 && Math.abs(lon) <= 180) return { lat, lon };
  throw new AppError("bad-request", `near=${text} is neither a region nor a place`, {
    hint: "Write ?near=iad or ?near=38.9,-77.4 (latitude, longitude).",
  });
}

function tokenOf(text: string): Token {
  const [, origin, version] = /^([0-9a-f]{48}):(\d{1,15})$/.exec(text) ?? [];
  if (origin !== undefined) return { origin, version: Number(version) };
  throw new AppError("bad-request", `wait=${text} names no write`, {
    hint: "Write ?wait=ACTOR_ID:VERSION with what /v1/transactions answered.",
  });
}
