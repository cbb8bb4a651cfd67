/**
 * A node's directory on disk:
 *
 *   node.json    who this node is, and how often it has started
 *   peers.json   whom it knew last, so that it finds its cluster again with every seed gone
 *   state.db     the database, with its -wal and -shm
 *   abandoned    says that the database must not be opened again, and why: the next start puts it aside
 *   lock         held for as long as a process uses the directory
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { AppError, isNodeId, messageOf, type NodeId } from "@patina/base";
import { isMember, type Member } from "@patina/membership";
import Database from "better-sqlite3";
import { writeDurably } from "./durable-write.js";
import { newNodeId } from "./entropy.js";

export interface Identity {
  readonly nodeId: NodeId;
  /** Greater than at any start before, and already on disk. */
  readonly boot: number;
}

const IDENTITY_FILE = "node.json";

export class DataDir {
  readonly path: string;
  readonly identity: Identity;
  readonly #lock: Database.Database;

  /**
   * Takes the directory for this process. A certificate names its node beforehand: `nodeId` becomes a new directory's,
   * and must be an old one's. Throws `data-dir-in-use` when another process has it, `config-invalid` when it is another
   * node's, and `store-failed` when it cannot be written.
   */
  constructor(path: string, wallMs: number, nodeId?: NodeId) {
    this.path = path;
    this.#lock = takeLock(path);
    try {
      this.identity = nextIdentity(join(path, IDENTITY_FILE), wallMs, nodeId);
    } catch (thrown) {
      this.#lock.close();
      throw thrown;
    }
    if (existsSync(this.#abandonedPath)) this.#setDatabaseAside();
  }

  get databasePath(): string {
    return join(this.path, "state.db");
  }

  /** Whatever happens now, the database is not opened again. */
  abandonDatabase(reason: string): void {
    writeDurably(this.#abandonedPath, `${reason}\n`);
  }

  /** The next start is numbered above `boot`: the others hold that one for gone. */
  startAbove(boot: number): void {
    const { nodeId } = this.identity;
    writeDurably(join(this.path, IDENTITY_FILE), JSON.stringify({ nodeId, boot: Math.max(boot, this.identity.boot) }));
  }

  get #abandonedPath(): string {
    return join(this.path, "abandoned");
  }

  /** Killed at any point, it goes on at the next start: what says why goes last. */
  #setDatabaseAside(): void {
    for (const suffix of ["-shm", "-wal", ""]) {
      const file = this.databasePath + suffix;
      if (existsSync(file)) renameSync(file, `${join(this.path, `state.abandoned-${this.identity.boot}.db`)}${suffix}`);
    }
    renameSync(this.#abandonedPath, join(this.path, `state.abandoned-${this.identity.boot}.txt`));
  }

  /** Members known when the process last ran; none on a first start. What a damaged file says is left out: there are seeds, too. */
  rememberedPeers(): Member[] {
    const peers = parsed(readText(join(this.path, "peers.json")));
    return Array.isArray(peers) ? peers.filter(isMember) : [];
  }

  rememberPeers(members: readonly Member[]): void {
    writeDurably(join(this.path, "peers.json"), JSON.stringify(members));
  }

  /** Throws `data-dir-in-use` when a process has the directory. One that is not there is in nobody's use. */
  static assertUnused(path: string): void {
    if (existsSync(path)) takeLock(path).close();
  }

  /** Whose directory it is; undefined before its first start. */
  static nodeIdIn(path: string): NodeId | undefined {
    return readIdentity(join(path, IDENTITY_FILE))?.nodeId;
  }

  /** Gives the directory up. */
  close(): void {
    this.#lock.close();
  }
}

/** SQLite's own file lock: the kernel drops it with the process, however that ends. */
function takeLock(path: string): Database.Database {
  let lock: Database.Database | undefined;
  try {
    mkdirSync(path, { recursive: true });
    lock = new Database(join(path, "lock"), { timeout: 0 });
    lock.pragma("locking_mode = EXCLUSIVE");
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (cause) {
    lock?.close();
    if (cause instanceof Database.SqliteError && cause.code.startsWith("SQLITE_BUSY")) {
      throw new AppError("data-dir-in-use", `another process is using ${path}`, {
        cause,
        hint: "Stop that process first, or give this one a data directory of its own.",
      });
    }
    throw new AppError("store-failed", `cannot use the data directory ${path}: ${messageOf(cause)}`, {
      cause,
      hint: "Check that it exists, is writable and is not full.",
    });
  }
}

function nextIdentity(path: string, wallMs: number, named: NodeId | undefined): Identity {
  const before = readIdentity(path);
  if (before !== undefined && named !== undefined && before.nodeId !== named) {
    throw new AppError("config-invalid", `the certificate is for node ${named}, and ${path} is node ${before.nodeId}`, {
      hint: "Issue one for this node (`patina tls issue --node-dir DIR`), or give the certificate's node its own directory.",
    });
  }
  const identity = {
    nodeId: before?.nodeId ?? named ?? newNodeId(),
    boot: Math.max((before?.boot ?? 0) + 1, Math.floor(wallMs)),
  };
  writeDurably(path, JSON.stringify(identity));
  return identity;
}

function readIdentity(path: string): Identity | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  const { nodeId, boot } = (parsed(text) ?? {}) as Partial<Identity>;
  if (typeof nodeId === "string" && isNodeId(nodeId) && Number.isSafeInteger(boot)) return { nodeId, boot: boot ?? 0 };
  throw new AppError("store-failed", `${path} is not a node identity`, {
    hint: "Restore the file from a copy, or move the whole data directory away to start as a new node.",
  });
}

/** Undefined for what is not JSON. */
function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined; // Each caller knows what that means.
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new AppError("store-failed", `cannot read ${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
}
