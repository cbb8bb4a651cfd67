/**
 * A region for tests: an agent's API that holds its streams open and says what the test has it say, and the map of a router
 * that knows it. The rows are in memory; everything else is what production runs.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Quarantine, NOTHING_OFF, Rib, type StoredPlacement } from "@patina/router";

const REGION = "iad";

export class WatchedRegion {
  readonly rib: Rib;
  /** Streams that are open, and questions that wait: none is answered until the test says something. */
  readonly streams = new Set<ServerResponse>();
  readonly #placements = new Map<string, readonly StoredPlacement[]>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#onRequest(request, response));
    this.rib = new Rib({
      rows: {
        placements: (app) => this.#placements.get(app) ?? [],
        placementsPage: () => ({ rows: [...this.#placements.values()].flat(), next: undefined }),
        regions: () => [],
      },
      journal: { interrupted: [], during: (_, take) => take() },
      quarantine: new Quarantine(),
      switches: () => NOTHING_OFF,
      wallMs: () => 0,
      onQuarantined: () => undefined,
    });
  }

  static async start(): Promise<WatchedRegion> {
    const region = new WatchedRegion();
    region.#server.listen(0, "127.0.0.1");
    await once(region.#server, "listening");
    const { port } = region.#server.address() as AddressInfo;
    const apis = [`http://127.0.0.1:${port}`];
    region.rib.regions.set(REGION, { region: REGION, generation: 1, heartbeatMs: 0, apis, apps: 1 });
    return region;
  }

  /** The index has it that the app is here. */
  place(app: string): void {
    this.#placements.set(app, [{ app, region: REGION, class: "serving", epoch: 1n, hlc: 1n, origin: "o" }]);
    this.rib.onChanged([
      { table: "placements", key: [app, REGION], kind: "upsert", appBefore: undefined, app: undefined },
    ]);
  }

  /** To all who listen: so many machines run here. */
  say(machines: number): void {
    const rows = Array.from({ length: machines }, (_, id) => ({ id }));
    const line = `${JSON.stringify({ generation: 1, class: "serving", machines: rows })}\n`;
    for (const stream of this.streams) stream.write(line);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.flushHeaders();
    this.streams.add(response);
    response.on("close", () => this.streams.delete(response));
  }
}
