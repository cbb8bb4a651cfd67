/**
 * A route in front of the framework, for the one question that a server is asked so often that the framework would be most
 * of its work. What it does not answer, the framework does: so it may take the plain form of a request alone, and leave
 * whatever is unusual, slow or wrong to the ordinary route.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface DirectAnswer {
  readonly status: number;
  readonly json: string;
  /** How long `json` is in UTF-8: who keeps an answer knows it, and finding it out would be half the work of sending it. */
  readonly bytes: number;
}

/** Given the path and query of a GET as they came. Undefined for what it leaves to the framework; it may throw to the same end. */
export type DirectRoute = (url: string) => DirectAnswer | undefined;

type Listener = (request: IncomingMessage, response: ServerResponse) => void;
type Framework = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Asks the direct route first. Its answers are those that the framework writes for `c.json`, but for the order of the head. */
export function inFront(direct: DirectRoute, framework: Framework): Listener {
  return (request, response) => {
    const answer = isPlain(request) ? attempt(direct, request.url ?? "/") : undefined;
    if (answer === undefined) return void framework(request, response);
    send(response, answer);
  };
}

/** Head and body leave as one text, which a length not known before, or another encoding of the body, would prevent. */
function send(response: ServerResponse, { status, json, bytes }: DirectAnswer): void {
  response.writeHead(status, ["Content-Type", "application/json", "Content-Length", String(bytes)]);
  response.end(json, bytes === json.length ? "latin1" : "utf8");
}

/** What announces a body. */
const OF_A_BODY = ["content-length", "transfer-encoding"];

/**
 * A GET with nothing behind its head: limits on bodies are the framework's. It reads the names as they came, since making
 * an object of them is a tenth of an answer.
 */
function isPlain({ method, httpVersion, rawHeaders }: IncomingMessage): boolean {
  if (method !== "GET" || httpVersion !== "1.1") return false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    if (OF_A_BODY.some((it) => it.length === name.length && it === name.toLowerCase())) return false;
  }
  return true;
}

function attempt(direct: DirectRoute, url: string): DirectAnswer | undefined {
  try {
    return direct(url);
  } catch {
    return undefined; // The ordinary route meets the same error, and says what it is.
  }
}
