/**
 * `GET /v1/apps/:app/placement`, twice over: as a route like any other, and directly, in front of the framework, for what
 * kept answers say. Both read the same options and resolve with the same classes; what the direct one has answered it
 * answers again, with other ages, for as long as the resolver says that it stands.
 */
import type { DirectAnswer, DirectRoute } from "@patina/api";
import type { Placement, Standing } from "@patina/router";
import type { Hono } from "hono";
import { AgedText } from "./aged-text.js";
import { resolveOptions } from "./resolve-options.js";
import type { Resolver } from "./resolver.js";

/** A "no" that is proven is 404; not knowing is 503, since asking again may help. */
const STATUS = { found: 200, absent: 404, unknown: 503 } as const satisfies Record<Placement["result"], number>;

export function addPlacementRoute(app: Hono, resolver: Resolver): void {
  app.get("/v1/apps/:app/placement", async (c) => {
    const options = resolveOptions((name) => c.req.query(name));
    const placement = await resolver.resolve(c.req.param("app"), options);
    return c.json(placement, STATUS[placement.result]);
  });
}

/** A name and values in which nothing is encoded: they mean what they say. */
const PLAIN_URL = /^\/v1\/apps\/(\w[\w.~-]*)\/placement\?((?:[\w-]+=[\w.,:~-]*&)*[\w-]+=[\w.,:~-]*)$/;

/** Text that is kept at once, in bytes. Beyond it, what was put in first goes. */
const TEXT_MAX = 64 << 20;

interface Told {
  readonly standing: Standing;
  readonly text: AgedText;
}

/** Leaves to the ordinary route what is encoded, what is wrong, and what a region has to be asked about. */
export function directPlacement(resolver: Resolver): DirectRoute {
  const toldByUrl = new Map<string, Told>();
  let size = 0;

  const forget = (url: string): void => {
    size -= toldByUrl.get(url)?.text.bytes ?? 0;
    toldByUrl.delete(url);
  };
  const tell = (url: string, standing: Standing): DirectAnswer => {
    const text = new AgedText(standing.done.placement);
    toldByUrl.set(url, { standing, text });
    size += text.bytes;
    for (const oldest of toldByUrl.keys()) {
      if (size <= TEXT_MAX) break;
      forget(oldest);
    }
    const json = JSON.stringify(standing.done.placement);
    return { status: statusOf(standing), json, bytes: Buffer.byteLength(json) };
  };
  return (url) => {
    const told = toldByUrl.get(url);
    const ages = told === undefined ? undefined : resolver.resolveAgain(told.standing);
    if (told !== undefined && ages !== undefined) return { status: statusOf(told.standing), ...told.text.at(ages) };
    forget(url);
    const [, app, query] = PLAIN_URL.exec(url) ?? [];
    if (app === undefined || query === undefined) return undefined;
    const standing = resolver.resolveAlone(app, resolveOptions(valueIn(query.split("&"))));
    return standing === undefined ? undefined : tell(url, standing);
  };
}

/** The first value of a name counts, as in the framework. */
function valueIn(pairs: readonly string[]): (name: string) => string | undefined {
  return (name) => pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

function statusOf({ done }: Standing): number {
  return STATUS[done.placement.result];
}
