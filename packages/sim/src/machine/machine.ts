/**
 * One simulated machine: a disk that outlives its processes, and at most one process. It stands for a machine in that it can
 * lose power, stand still, fill its disk, or be another's copy; what runs on it is in `process.ts`.
 */
import type { ClusterId, NodeId, Now, Rng } from "@patina/base";
import type { NodeEffect, NodeInput, SingleThread } from "@patina/agent";
import type { Member } from "@patina/membership";
import type { SqliteStore } from "@patina/store";
import type { StallScope } from "../plan/fault.js";
import { blankDatabase } from "./blank.js";
import { Disk } from "./disk.js";
import { isForMembership, SimProcess, type WrapStore } from "./process.js";
import type { WitnessReport } from "./witness.js";

export interface MachineOptions {
  readonly index: number;
  readonly home: string;
  readonly cluster: ClusterId;
  /** Another machine's, when this one is its twin. */
  readonly nodeId: NodeId;
  readonly seeds: readonly string[];
  readonly evictAfterMs: number | undefined;
  readonly directMembersMax: number;
  readonly rng: Rng;
  readonly wrapStore: WrapStore | undefined;
  readonly report: WitnessReport;
}

/** Pages that a full disk still has room for. */
const LAST_PAGES = 2;

export class Machine {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly address: string;
  readonly disk: Disk;
  /** Counts processes: timers and arrivals meant for an older one are nobody's. */
  life = 0;
  /** An old copy of its disk was put back: what it acknowledged since is not there. */
  hasForgotten = false;
  /** It is switched off for good. */
  isRetired = false;
  readonly #options: MachineOptions;
  readonly #rng: Rng;
  #process: SimProcess | undefined;
  #stalled: { readonly untilMs: number; readonly scope: StallScope } | undefined;
  #pagesMax: number | undefined;
  /** Whom its last process knew: kept on disk in production, too. */
  #remembered: readonly Member[] = [];

  constructor(options: MachineOptions) {
    this.index = options.index;
    this.#options = options;
    this.#rng = options.rng;
    this.nodeId = options.nodeId;
    this.address = addressOf(options.index);
    this.disk = new Disk(options.home, blankDatabase());
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get agent(): SingleThread | undefined {
    return this.#process?.agent;
  }

  get store(): SqliteStore | undefined {
    return this.#process?.store;
  }

  start(now: Now): NodeEffect[] {
    const { cluster, seeds, wrapStore, report, evictAfterMs, directMembersMax } = this.#options;
    this.disk.boot = Math.max(this.disk.boot + 1, now.wallMs);
    this.life++;
    this.#stalled = undefined;
    this.#process = new SimProcess({
      databasePath: this.disk.databasePath,
      cluster,
      nodeId: this.nodeId,
      boot: this.disk.boot,
      worker: workerOf(this.index),
      address: this.address,
      seeds: seeds.filter((seed) => seed !== this.address),
      remembered: this.#remembered,
      newDbId: () => hexDigits(this.#rng, 16),
      evictAfterMs,
      directMembersMax,
      pagesMax: this.#pagesMax,
      wrapStore,
      report,
      rng: this.#rng.fork(),
    });
    this.disk.markSynced();
    return this.handle({ kind: "start" }, now);
  }

  handle(input: NodeInput, now: Now): NodeEffect[] {
    const effects = this.#process?.handle(input, now) ?? [];
    if (this.#process?.takeWritten() === true && this.#process.store.isDurable) this.disk.markSynced();
    return effects;
  }

  /** Until when this input has to wait, if its thread stands still. */
  stalledUntilMs(input: NodeInput, nowMs: number): number | undefined {
    const stalled = this.#stalled;
    if (stalled === undefined || stalled.untilMs <= nowMs) return undefined;
    return stalled.scope === "main" && isForMembership(input) ? undefined : stalled.untilMs;
  }

  stall(untilMs: number, scope: StallScope): void {
    this.#stalled = { untilMs, scope };
  }

  /** Power is lost: the process is gone and with it what was not synced. True when there was such. */
  crash(): boolean {
    const hasLost = this.disk.losePower(this.#rng);
    this.stop();
    this.disk.discardOldLives();
    return hasLost;
  }

  stop(): void {
    this.#remembered = this.#process?.agent.members() ?? this.#remembered;
    this.#process?.close();
    this.#process = undefined;
    this.life++;
  }

  /** From the next start on the disk is as good as full, until it is given room. */
  fillDisk(): void {
    const pages = this.store?.read("PRAGMA page_count")[0]?.[0];
    this.#pagesMax = pages === undefined ? this.#pagesMax : Number(pages) + LAST_PAGES;
  }

  get isFull(): boolean {
    return this.#pagesMax !== undefined;
  }

  makeRoom(): void {
    this.#pagesMax = undefined;
  }
}

export function addressOf(index: number): string {
  return `node-${index}:7946`;
}

export function indexOfAddress(address: string): number {
  return Number(/^node-(\d+):/.exec(address)?.[1] ?? -1);
}

export function workerOf(index: number): string {
  return `w${index}`;
}

export function hexDigits(rng: Rng, count: number): string {
  let text = "";
  while (text.length < count) text += rng.u32().toString(16).padStart(8, "0");
  return text.slice(0, count);
}
