/**
 * Who is who.
 *
 * A node keeps its `NodeId` for life, on its disk. A database file keeps its `DbId` for life, and a fresh or restored
 * file always gets a new one: so an origin (node, database) never issues the same version twice, whatever was restored.
 */
import { assert } from "./assert.js";
import { hash32 } from "./hash.js";

/** 128 bits as 32 lower-case hex digits. */
export type NodeId = string;
/** 64 bits as 16 lower-case hex digits. */
export type DbId = string;
/** A writer of versions: the node's 32 hex digits followed by the database's 16. */
export type OriginId = string;

export const NODE_ID_LENGTH = 32;
export const ORIGIN_ID_LENGTH = 48;

/** A cluster and its generation. A rollback or a restore of the whole region bumps it; other generations are refused. */
export interface ClusterId {
  readonly name: string;
  readonly generation: number;
}

export function originId(node: NodeId, db: DbId): OriginId {
  const origin = node + db;
  assert(isHex(origin, ORIGIN_ID_LENGTH), "an origin is 48 hex digits");
  return origin;
}

export function originNode(origin: OriginId): NodeId {
  return origin.slice(0, NODE_ID_LENGTH);
}

export function isNodeId(text: string): boolean {
  return isHex(text, NODE_ID_LENGTH);
}

/** 32 bits that tell clusters apart in a datagram's header. Not a secret: it stops accidents, not attackers. */
export function clusterTag(cluster: ClusterId): number {
  return hash32(`${cluster.name}#${cluster.generation}`);
}

export function sameCluster(a: ClusterId, b: ClusterId): boolean {
  return a.name === b.name && a.generation === b.generation;
}

function isHex(text: string, length: number): boolean {
  return text.length === length && /^[0-9a-f]+$/.test(text);
}
