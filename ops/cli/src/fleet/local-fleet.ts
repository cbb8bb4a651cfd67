/** A local fleet from nothing to ready, and back: what `patina dev` and the tour are built of. */
import { AppError } from "@patina/base";
import type { HttpServer } from "@patina/api";
import { serveControl } from "./control.js";
import { listenError } from "@patina/runtime";
import { secureFleet } from "../tls/fleet-security.js";
import { type FleetShape, type Layout, layoutOf, writeLayout } from "./layout.js";
import { Supervisor } from "./supervisor.js";

export class LocalFleet {
  readonly layout: Layout;
  readonly supervisor: Supervisor;
  readonly #control: HttpServer;

  private constructor(layout: Layout, supervisor: Supervisor, control: HttpServer) {
    this.layout = layout;
    this.supervisor = supervisor;
    this.#control = control;
  }

  /** Starts every agent and waits until all are ready. On failure everything started is stopped again. */
  static async start(shape: FleetShape, onReady: (name: string) => void): Promise<LocalFleet> {
    const layout = layoutOf(shape);
    await secureFleet(layout);
    writeLayout(layout, shape);
    const supervisor = new Supervisor(layout);
    const control = await openControl(supervisor, layout);
    try {
      for (const { name } of layout.agents) supervisor.start(name);
      await supervisor.ready(onReady);
    } catch (thrown) {
      await supervisor.stopAll();
      await control.close();
      throw thrown;
    }
    return new LocalFleet(layout, supervisor, control);
  }

  async stop(): Promise<void> {
    await this.supervisor.stopAll();
    await this.#control.close();
  }
}

async function openControl(supervisor: Supervisor, layout: Layout): Promise<HttpServer> {
  try {
    return await serveControl(supervisor, layout.fleet, layout.controlPort);
  } catch (thrown) {
    const { code, message } = listenError(
      thrown as NodeJS.ErrnoException,
      "the fleet's control",
      `127.0.0.1:${layout.controlPort}`,
    );
    throw new AppError(code, message, {
      cause: thrown,
      hint: "Is a local fleet running already? Stop it, or start another with --base-port and --dir.",
    });
  }
}
