/** Names for live queries. Clients of Corrosion parse them as UUIDs, and an id must never come back after a restart. */
import { newNodeId } from "../entropy.js";

/** 128 random bits, written as a version 4 UUID. */
export function newLiveQueryId(): string {
  const hex = newNodeId();
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}
