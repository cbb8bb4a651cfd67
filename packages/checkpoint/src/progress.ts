/** How long work tells how far it is, in the order of its phases. */

export interface Progress {
  /** upload → publish, or: fetch → check → prepare → sync → quarantine → publish → done. */
  readonly phase: "upload" | "verify" | "fetch" | "check" | "prepare" | "sync" | "quarantine" | "publish" | "done";
  /** Bytes of image dealt with, and in all. */
  readonly done: number;
  readonly total: number;
}

export type OnProgress = (progress: Progress) => void;

export const ignoreProgress: OnProgress = () => undefined;
