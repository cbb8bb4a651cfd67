/** The cluster that every simulated node belongs to. */
import type { ClusterId } from "@patina/base";

export const SIM_CLUSTER: ClusterId = { name: "sim", generation: 1 };
