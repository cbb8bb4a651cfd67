/** Fleets of real agents, for those who measure them. */
export { Cluster, type Places } from "./real/cluster/cluster.js";
export type { Member } from "./real/cluster/member.js";
export { waitUntil } from "./real/cluster/wait-until.js";
