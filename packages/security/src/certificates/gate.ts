/**
 * Lets members of this cluster in at either end of a stream, and nobody else: TLS 1.3 with a certificate on both sides,
 * signed by an authority we trust, naming our cluster, our role and, when we dial, the member we meant.
 *
 * Sessions are never resumed: every stream shows its certificate anew, so one that has expired or whose authority is no
 * longer trusted opens nothing, not even again.
 */
import { constants, X509Certificate } from "node:crypto";
import type { ServerOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect, type SecureContextOptions, TLSSocket } from "node:tls";
import type { NodeId } from "@patina/base";
import { authoritiesIn, type Credentials } from "./credentials.js";
import { type MemberName, memberNameOf } from "./member-name.js";

export type StreamRefusal =
  | "no-certificate"
  /** Signed by nobody we trust, or by itself. */
  | "untrusted"
  | "expired"
  /** Issued for later, or one of the two clocks is behind. */
  | "not-yet-valid"
  /** TLS older than 1.3. */
  | "old-tls"
  /** Another cluster's or another role's, or no member's at all. */
  | "foreign-member"
  /** A member, but not the one we dialed. */
  | "wrong-node"
  /** The handshake failed otherwise: noise, plaintext, or the other end gave up. */
  | "handshake-failed";

export type Admitted = { readonly node: NodeId } | { readonly refused: StreamRefusal };

/** Why the certificate of the other end was not good enough for a stream we dialed. */
class RefusedError extends Error {
  readonly refused: StreamRefusal;

  constructor(refused: StreamRefusal) {
    super(`the other end's certificate is refused: ${refused}`);
    this.refused = refused;
  }
}

export interface Dial {
  readonly host: string;
  readonly port: number;
  readonly node: NodeId;
}

export class Gate {
  #credentials: Credentials;
  #authorities: readonly X509Certificate[];

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
    this.#authorities = authoritiesIn(credentials);
  }

  /** For streams from now on. True when others are trusted than before: what is open may have to be closed, see `isTrusted`. */
  replace(credentials: Credentials): boolean {
    const { ca } = this.#credentials;
    this.#credentials = credentials;
    if (ca === credentials.ca) return false;
    this.#authorities = authoritiesIn(credentials);
    return true;
  }

  /**
   * Has an authority that is trusted now signed for the other end? The only revocation that there is takes one away, and must
   * end what it let in. Behind an intermediate the answer is no, and a new handshake looks at all of the chain.
   */
  isTrusted(certificate: X509Certificate): boolean {
    return this.#authorities.some((it) => certificate.checkIssued(it) && certificate.verify(it.publicKey));
  }

  /** What a listener needs; again after a `replace`, for `setSecureContext`. */
  serverOptions(): ServerOptions {
    return { ...this.#context(), requestCert: true, rejectUnauthorized: true };
  }

  /** Who has been let in: the socket's handshake is over, so its chain is known to be good. */
  admit(socket: Duplex): Admitted {
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    return this.#judge(certificate);
  }

  /** Ends with an error, before a byte is sent, when it is not that member who answers. */
  dial({ host, port, node }: Dial): TLSSocket {
    return connect({
      ...this.#context(),
      host,
      port,
      servername: "", // A member is known by its node id, wherever it is.
      rejectUnauthorized: true,
      checkServerIdentity: (_host, { raw }) => {
        const peer = this.#judge(new X509Certificate(raw), node);
        return "refused" in peer ? new RefusedError(peer.refused) : undefined;
      },
    });
  }

  #context(): SecureContextOptions {
    const { ca, certificate, key } = this.#credentials;
    return { ca, cert: certificate, key, minVersion: "TLSv1.3", secureOptions: constants.SSL_OP_NO_TICKET };
  }

  #judge(certificate: X509Certificate | undefined, dialed?: NodeId): Admitted {
    if (certificate === undefined) return { refused: "no-certificate" };
    const peer = memberNameOf(certificate);
    if (peer === undefined || !isFellow(this.#credentials.self, peer)) return { refused: "foreign-member" };
    return dialed === undefined || dialed === peer.node ? { node: peer.node } : { refused: "wrong-node" };
  }
}

function isFellow(self: MemberName, peer: MemberName): boolean {
  return peer.cluster === self.cluster && peer.role === self.role;
}

/** Why our listener refused the handshake. */
export function refusalOf(thrown: NodeJS.ErrnoException, socket: TLSSocket): StreamRefusal {
  const code = String(socket.authorizationError ?? thrown.code);
  if (code.endsWith("CERT_HAS_EXPIRED")) return "expired";
  if (code.endsWith("CERT_NOT_YET_VALID")) return "not-yet-valid";
  if (code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") return "no-certificate";
  if (code === "ERR_SSL_UNSUPPORTED_PROTOCOL") return "old-tls";
  return isUnverified(socket) ? "untrusted" : "handshake-failed";
}

/** Why we refused whom we dialed; undefined when it was not us who gave up. */
export function dialRefusalOf(thrown: Error, socket: TLSSocket | undefined): StreamRefusal | undefined {
  if (thrown instanceof RefusedError) return thrown.refused;
  return socket !== undefined && isUnverified(socket) ? refusalOf(thrown, socket) : undefined;
}

function isUnverified({ authorizationError }: TLSSocket): boolean {
  // Node's types say `Error`; it is the verifier's code, and null when there was nothing to complain of.
  return authorizationError !== undefined && authorizationError !== null;
}
