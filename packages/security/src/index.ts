/** Who may speak to whom: the seals of datagrams, the certificates of streams, and the files both come from. */
export {
  type Authority,
  createAuthority,
  issueCertificate,
  type KeyPair,
  openAuthority,
  type Validity,
} from "./certificates/authority.js";
export { type Credentials, expiryOf, parseCredentials, staleness } from "./certificates/credentials.js";
export { dialRefusalOf, Gate, refusalOf, type StreamRefusal } from "./certificates/gate.js";
export { authorityClusterOf, type MemberName, memberNameOf, memberUri, type Role } from "./certificates/member-name.js";
export { PACKET_BYTES_MAX, SEAL_BYTES } from "./datagrams/packet.js";
export { type DatagramRefusal, type Opened, Sealer, type SealerOptions } from "./datagrams/sealer.js";
export { readSecret, readSecurity, type Security, type SecurityPaths } from "./files/security-files.js";
export {
  formatKeyring,
  installKey,
  KEY_BYTES,
  type Keyring,
  newestEpoch,
  newKeyring,
  parseKeyring,
  removeOldKeys,
  useNewestKey,
} from "./keyring/keyring.js";
export { type Authorities, type ReadAuthorities, readAuthorities } from "./requests/authorities.js";
export { type SignedRequest, signRequest, type Verified, verifyRequest } from "./requests/signed-request.js";
export { SigningClock } from "./requests/signing-clock.js";
