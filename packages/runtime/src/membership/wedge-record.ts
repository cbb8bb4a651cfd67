/**
 * The record of a main thread that no longer answers, taken from outside it before the process is ended: its stack, if it is
 * in JavaScript; the last input it took; the last row it began to join. Without it a wedge is a mystery that comes again.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";
import { decodeFrame, defaultGossipConfig } from "@patina/gossip";
import { messageOf } from "@patina/base";
import { decodeKey } from "@patina/store";
import { systemNow } from "../clock.js";
import type { LastAct } from "./black-box.js";

const RECORDS_KEPT = 8;
const STACK_FRAMES_MAX = 64;
/** How long it waits for the main thread to stop at its next statement. Inside SQLite there is none. */
const PAUSE_WITHIN_MS = 2000;
const KEY_BYTES_MAX = 1 << 20;

interface CallFrame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

/** Writes `wedged-TIME.json` into the directory, and one line that names it to standard error. Returns the path. */
export async function recordWedge(dir: string, wedgedMs: number, act: LastAct): Promise<string> {
  const record = {
    at: new Date(systemNow().wallMs).toISOString(),
    wedgedMs: Math.round(wedgedMs),
    stack: await stackOfMain(),
    step: act.step,
    input: describeInput(act.input),
    inputHex: Buffer.from(act.input).toString("hex"),
    row: act.table === "" ? null : { table: act.table, key: describeKey(act.key) },
  };
  mkdirSync(dir, { recursive: true });
  const old = readdirSync(dir).filter((name) => /^wedged-.*\.json$/.test(name));
  for (const name of old.sort().slice(0, Math.max(0, old.length - RECORDS_KEPT + 1))) rmSync(join(dir, name));
  const path = join(dir, `wedged-${record.at.replaceAll(":", "-")}.json`);
  writeFileSync(path, `${JSON.stringify(record, undefined, 2)}\n`);
  writeSync(
    2,
    `the main thread stood still for ${record.wedgedMs} ms at "${act.step}": ended; the record is ${path}\n`,
  );
  return path;
}

/** The calls the main thread is in, innermost first; or why they cannot be had. */
async function stackOfMain(): Promise<readonly string[]> {
  const session = new Session();
  try {
    session.connectToMainThread();
    return await new Promise<readonly string[]>((resolve) => {
      const giveUp = setTimeout(
        () => resolve(["not in JavaScript: inside SQLite, or another native call"]),
        PAUSE_WITHIN_MS,
      );
      const urls = new Map<string, string>();
      session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
      session.on("Debugger.paused", ({ params }) => {
        clearTimeout(giveUp);
        const frames = params.callFrames as readonly CallFrame[];
        resolve(frames.slice(0, STACK_FRAMES_MAX).map((frame) => describeFrame(frame, urls)));
      });
      session.post("Debugger.enable");
      session.post("Debugger.pause");
    });
  } catch (thrown) {
    return [`no stack: ${messageOf(thrown)}`];
  } // The session stays open: the main thread would run on, and it is about to be ended.
}

function describeFrame({ functionName, location }: CallFrame, urls: ReadonlyMap<string, string>): string {
  const url = urls.get(location.scriptId) ?? "";
  return `${functionName === "" ? "(anonymous)" : functionName} ${url}:${location.lineNumber + 1}`;
}

function describeInput(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  try {
    const frame = decodeFrame(bytes, defaultGossipConfig);
    if (frame.kind !== "changes") return frame.kind;
    return `changes ${frame.changes.map(({ origin, version }) => `${origin}:${version}`).join(" ")}`;
  } catch (thrown) {
    return `the beginning of a frame (${messageOf(thrown)})`;
  }
}

function describeKey(key: Uint8Array): unknown {
  try {
    return decodeKey(key, KEY_BYTES_MAX).map((value) => (typeof value === "bigint" ? String(value) : value));
  } catch (thrown) {
    return `${Buffer.from(key).toString("hex")} (${messageOf(thrown)})`;
  }
}
