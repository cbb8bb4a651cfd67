/**
 * Membership in a thread of its own, with the UDP socket: the main thread may be busy with its database for seconds, and
 * answers to probes must not wait for it. The same thread watches over the main one, and ends the process when that stands
 * still for good.
 */
import { parentPort, workerData } from "node:worker_threads";
import { asAppError, must, Rng } from "@patina/base";
import type { MemberInput } from "@patina/agent";
import { Membership, type MembershipEffect, type MembershipInput } from "@patina/membership";
import { systemNow } from "../clock.js";
import { Datagrams } from "../datagrams.js";
import { BlackBox } from "./black-box.js";
import type { FromMembership, MembershipThreadData, ToMembership } from "./protocol.js";
import { Refusals } from "./refusals.js";
import { Watchdog } from "./watchdog.js";
import { recordWedge } from "./wedge-record.js";

const port = must(parentPort, "a parent thread");
const data = workerData as MembershipThreadData;
/** Turns of the loop that a wake waits for the socket to run dry. A turn reads 32 datagrams at most. */
const DRAIN_TURNS_MAX = 64;
const STATUS_EVERY_MS = 1000;

const { cluster, self, seeds, remembered, config } = data;
const membership = new Membership({ cluster, self, seeds, remembered, config, rng: new Rng(data.randomSeed) });
const blackBox = new BlackBox(data.blackBox);
const watchdog = new Watchdog(data.watchdog);
const refusals = new Refusals((inputs) => tell({ kind: "inputs", inputs }));
let datagrams: Datagrams | undefined;
let received = 0;
let receivedBytes = 0;
let sentBytes = 0;
let toldStatus = "";

function tell(message: FromMembership): void {
  port.postMessage(message);
}

function step(input: MembershipInput): void {
  perform(membership.handle(input, systemNow()));
}

function perform(effects: readonly MembershipEffect[]): void {
  const inputs: MemberInput[] = [];
  for (const effect of effects) {
    switch (effect.kind) {
      case "datagram":
        sentBytes += effect.bytes.length;
        datagrams?.send(effect.to, effect.bytes);
        break;
      case "wake":
        setTimeout(() => whenDry(() => step({ kind: "wake", timer: effect.timer })), effect.afterMs);
        break;
      case "refused":
        refusals.note(effect.from, effect.reason);
        break;
      case "outlived":
        tell({ kind: "event", event: effect });
        break;
      default:
        inputs.push(effect);
    }
  }
  if (inputs.length > 0) tell({ kind: "inputs", inputs });
}

/** Timers run before sockets are read: an answer that is in the kernel already must be heard before the verdict. */
function whenDry(work: () => void, turns = DRAIN_TURNS_MAX): void {
  const before = received;
  setImmediate(() => (received === before || turns === 0 ? work() : whenDry(work, turns - 1)));
}

function tellStatus(): void {
  const status = { self: membership.self(), localHealth: membership.localHealth, sentBytes, receivedBytes };
  const text = JSON.stringify(status);
  if (text === toldStatus) return;
  toldStatus = text;
  tell({ kind: "status", ...status });
}

function watch(): void {
  const { lagMs, isWedged } = watchdog.round(systemNow().monotonicMs, blackBox.silentMs);
  step({ kind: "lag", lagMs });
  if (!isWedged) return;
  clearInterval(watching);
  void recordWedge(data.recordDir, lagMs, blackBox.read()).finally(() => process.kill(process.pid, "SIGABRT"));
}

async function leave(): Promise<void> {
  clearInterval(watching);
  step({ kind: "leave" });
  await datagrams?.close();
  tell({ kind: "left" });
  process.exit();
}

port.on("message", (message: ToMembership) => {
  if (message.kind === "heard" || message.kind === "unreachable") step(message);
  else if (message.kind === "keys") datagrams?.replaceKeys(message.keyring);
  else void leave();
});

let watching: NodeJS.Timeout | undefined;
try {
  const onDatagram = (from: string, bytes: Uint8Array): void => {
    received++;
    receivedBytes += bytes.length;
    step({ kind: "datagram", from, bytes });
  };
  const onRefused = (from: string, reason: string): void => {
    received++; // It was read, which is what a wake waits for.
    refusals.note(from, reason);
  };
  datagrams = await Datagrams.open(data.address, { onDatagram, onRefused }, data.seal);
  tell({ kind: "ready" });
  step({ kind: "start" });
  tellStatus();
  watching = setInterval(watch, data.watchdog.everyMs);
  setInterval(tellStatus, STATUS_EVERY_MS).unref();
} catch (thrown) {
  const { code, message, hint } = asAppError(thrown);
  tell({ kind: "cannot-listen", code, message, hint });
}
