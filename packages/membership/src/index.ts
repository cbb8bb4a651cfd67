/** Who is in the cluster, and who is not any more: SWIM with Lifeguard, as a pure state machine. */
export { defaultMembershipConfig, type MembershipConfig, testMembershipConfig } from "./config.js";
export {
  compareMembers,
  isAddress,
  isMember,
  joinMembers,
  type Member,
  type MemberMeta,
  type MemberState,
} from "./member.js";
export {
  type Datagram,
  decodeDatagram,
  encodeHeader,
  encodeMessage,
  type Message,
  type TextLimits,
} from "./message.js";
export { Membership, type MembershipInput, type MembershipOptions } from "./membership.js";
export type { MembershipEffect, MembershipTimer, RefusedReason } from "./outbox.js";
