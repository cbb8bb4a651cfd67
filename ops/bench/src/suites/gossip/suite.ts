/** Gossip, from its parts in one thread to agents as machines run them. */
import type { Figure } from "../../report.js";
import type { SuiteOptions } from "../suite.js";
import { detectionFigures } from "./detection.js";
import { idleFigures } from "./idle.js";
import { oneProcessFigures } from "./one-process.js";
import { realLatencyFigures } from "./real-latency.js";
import { stormFigures } from "./storm.js";

export async function gossipSuite(options: SuiteOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const part of [oneProcessFigures, idleFigures, stormFigures, realLatencyFigures, detectionFigures]) {
    figures.push(...(await part(options)));
  }
  return figures;
}
