/** B2: what waits is bounded, whoever is slow. */
import { testAgentConfig } from "@patina/agent";
import type { Machine } from "../machine/machine.js";
import type { World } from "../world/world.js";

const { gossip, peerWindowBytes } = testAgentConfig;
/** The largest change a client of the simulation can write, with room for its header. */
const CHANGE_BYTES_MAX = 2048;
/** A frame may be larger than what is left of the window, by a change or by what a member holds. */
const FRAME_BYTES_MAX = 16 << 10;

export function checkBounds({ chronicle, streams }: World, { index, agent }: Machine): void {
  if (agent === undefined) return;
  const parkedMax = gossip.parkedBytesMax + CHANGE_BYTES_MAX;
  if (agent.parkedBytes > parkedMax)
    chronicle.broken("B2", `node ${index} parks ${agent.parkedBytes} bytes of ${parkedMax}`);
  const unsentMax = peerWindowBytes + FRAME_BYTES_MAX;
  const unsent = streams.unreadBytesMax;
  if (unsent > unsentMax) chronicle.broken("B2", `${unsent} bytes wait on one stream, of ${unsentMax}`);
}
