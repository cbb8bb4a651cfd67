/** The membership thread, seen from the main one. */
import { Worker } from "node:worker_threads";
import { AppError } from "@patina/base";
import type { AgentEvent, MemberInput, RefusedInput } from "@patina/agent";
import type { Keyring } from "@patina/security";
import type { BlackBox } from "./black-box.js";
import type { FromMembership, MembershipStatus, MembershipThreadData, ToMembership } from "./protocol.js";

/** How often the main thread says that it came round. */
const BEAT_EVERY_MS = 100;

export type MembershipSetup = Omit<MembershipThreadData, "blackBox">;

export interface MembershipListener {
  readonly onInput: (input: MemberInput | RefusedInput) => void;
  readonly onEvent: (event: AgentEvent) => void;
}

export class MembershipThread {
  readonly #worker: Worker;
  readonly #beating: NodeJS.Timeout;
  #status: MembershipStatus;

  private constructor(data: MembershipSetup, blackBox: BlackBox, listener: MembershipListener) {
    this.#status = {
      self: { ...data.self, incarnation: 0, state: "alive" },
      localHealth: 0,
      sentBytes: 0,
      receivedBytes: 0,
    };
    blackBox.beat();
    this.#beating = setInterval(() => blackBox.beat(), BEAT_EVERY_MS);
    const workerData: MembershipThreadData = { ...data, blackBox: blackBox.memory };
    this.#worker = new Worker(new URL("./membership.worker.js", import.meta.url), { workerData });
    // A thread that fails takes the process with it: there is no listener for "error".
    this.#worker.on("message", (message: FromMembership) => this.#onMessage(message, listener));
  }

  /** Listens and joins. Throws `port-in-use` or `config-invalid` when the address cannot be had. */
  static async start(
    data: MembershipSetup,
    blackBox: BlackBox,
    listener: MembershipListener,
  ): Promise<MembershipThread> {
    const thread = new MembershipThread(data, blackBox, listener);
    try {
      await thread.#heard("ready");
    } catch (thrown) {
      await thread.#end();
      throw thrown;
    }
    return thread;
  }

  get status(): MembershipStatus {
    return this.#status;
  }

  /** What streams say of a member. */
  tell(sign: Extract<ToMembership, { kind: "heard" | "unreachable" }>): void {
    this.#post(sign);
  }

  replaceKeys(keyring: Keyring): void {
    this.#post({ kind: "keys", keyring });
  }

  /** Says goodbye to the cluster and ends the thread. */
  async leave(): Promise<void> {
    const left = this.#heard("left");
    this.#post({ kind: "leave" });
    await left;
    await this.#end();
  }

  #post(message: ToMembership): void {
    this.#worker.postMessage(message);
  }

  async #end(): Promise<void> {
    clearInterval(this.#beating);
    await this.#worker.terminate();
  }

  async #heard(kind: FromMembership["kind"]): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onMessage = (message: FromMembership): void => {
        if (message.kind !== kind && message.kind !== "cannot-listen") return;
        this.#worker.off("message", onMessage);
        if (message.kind === "cannot-listen") reject(listenErrorOf(message));
        else resolve();
      };
      this.#worker.on("message", onMessage);
    });
  }

  #onMessage(message: FromMembership, { onInput, onEvent }: MembershipListener): void {
    if (message.kind === "inputs") for (const input of message.inputs) onInput(input);
    else if (message.kind === "event") onEvent(message.event);
    else if (message.kind === "status") this.#status = message;
  }
}

function listenErrorOf({ code, message, hint }: Extract<FromMembership, { kind: "cannot-listen" }>): AppError {
  return new AppError(code as AppError["code"], message, hint === undefined ? {} : { hint });
}
