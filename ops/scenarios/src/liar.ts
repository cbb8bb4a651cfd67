/** Says to one node of a crowd what no node of it ever said, in the form of the production codec. */
import { encodeHeader, encodeMessage, type Member, type MemberState } from "@patina/membership";
import { type Crowd, CROWD_CLUSTER, crowdAddress, nodeIdOf } from "@patina/sim";

/** A record about a node as it is, but for what is given. */
export function recordOf(index: number, boot: number, incarnation: number, state: MemberState): Member {
  const address = crowdAddress(index);
  return { nodeId: nodeIdOf(index), boot, incarnation, state, address, meta: { api: `http://${address}` } };
}

/** `to` hears this, as if `teller` had told it. */
export function tell(crowd: Crowd, to: number, teller: Member, ...rumours: readonly Member[]): void {
  const parts = [
    encodeHeader(CROWD_CLUSTER, teller),
    ...rumours.map((member) =>
      encodeMessage({ kind: "rumour", member, ...(member.state === "suspect" ? { accuser: teller.nodeId } : {}) }),
    ),
  ];
  crowd.give(to, {
    kind: "datagram",
    from: teller.address,
    bytes: Uint8Array.from(parts.flatMap((part) => [...part])),
  });
}
