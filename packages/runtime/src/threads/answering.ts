/** The other end of an `AskedThread`: performs each request and answers it, with the error's code when it throws. */
import { parentPort } from "node:worker_threads";
import { asAppError, type ErrorCode, must } from "@patina/base";

export type ThreadReply =
  | { readonly ticket: number; readonly ok: true; readonly result: unknown }
  | {
      readonly ticket: number;
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | undefined;
    };

/** Answers this thread's owner from now on. */
export function answer<Request>(perform: (request: Request) => unknown): void {
  const port = must(parentPort, "a parent thread");
  port.on("message", ({ ticket, request }: { ticket: number; request: Request }) => {
    port.postMessage(replyTo(ticket, () => perform(request)));
  });
}

function replyTo(ticket: number, work: () => unknown): ThreadReply {
  try {
    return { ticket, ok: true, result: work() };
  } catch (thrown) {
    const { code, message, hint } = asAppError(thrown, "store-failed");
    return { ticket, ok: false, code, message, hint };
  }
}
