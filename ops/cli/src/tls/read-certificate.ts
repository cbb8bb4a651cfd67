/** A certificate from a file that somebody named: it may be cut off, or something else, and that is no fault of ours. */
import { X509Certificate } from "node:crypto";
import { AppError, messageOf } from "@patina/base";

/** Throws `config-invalid`, naming `path`. */
export function readCertificate(pem: string | Uint8Array, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new AppError("config-invalid", `${path}: a certificate in it is damaged (${messageOf(cause)})`, {
      cause,
      hint: "Copy it again from where it was made, or move it away and issue another: patina tls issue",
    });
  }
}
