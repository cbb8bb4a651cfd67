/**
 * Stores under test, each beside its book and its twin. Every step is done to all three, and after every step they must
 * agree: rows, holdings, digests, stamps. A disagreement throws with what was expected and what was found.
 */
import { equal, ok } from "node:assert/strict";
import { copyFileSync, existsSync, statSync, truncateSync } from "node:fs";
import {
  type Change,
  heldVersions,
  type Holdings,
  must,
  type OriginId,
  type Range,
  Ranges,
  type RowWrite,
  type Write,
} from "@patina/base";
import { adoptImage } from "../adopt-image.js";
import { takeImage } from "../database/image.js";
import type { SqliteStore } from "../sqlite-store.js";
import { Book, type BookRow, idOf, readBody } from "./book.js";
import { dbIdOf, openStore, type Scratch, scrubbed } from "./scratch-store.js";
import { Twin } from "./twin.js";

export interface Node {
  readonly index: number;
  path: string;
  store: SqliteStore;
  book: Book;
  twin: Twin;
  wallMs: number;
  /** How fast its wall clock runs: 1, or 0 when it is frozen, or 10 when it drifts. */
  rate: number;
  /** What a power loss leaves for sure, and every state since then, any of which it may leave instead. */
  syncedBytes: number;
  readonly survivors: Book[];
}

const TICK_MS = 7;

export class Fleet {
  readonly nodes: Node[];
  /** Every change any node ever made, as it was made. */
  readonly log: Change[] = [];
  /** Every write any node was asked for, to be asked for again. */
  readonly writes: Write[] = [];
  readonly #rows = new Map<string, readonly BookRow[]>();
  readonly #scratch: Scratch;
  readonly #schemaSql: string;
  #databases = 0;

  constructor(size: number, schemaSql: string, wallMs: number, scratch: Scratch) {
    this.#scratch = scratch;
    this.#schemaSql = schemaSql;
    this.nodes = Array.from({ length: size }, (_, index) => {
      const path = scratch.newPath();
      const store = this.#open(path, index);
      const twin = new Twin(schemaSql);
      const clock = { wallMs, rate: 1 };
      return { index, path, store, book: new Book(), twin, ...clock, syncedBytes: 0, survivors: [] };
    });
    for (const node of this.nodes) this.#markSynced(node);
  }

  close(): void {
    for (const { store, twin } of this.nodes) {
      store.close();
      twin.close();
    }
  }

  /** A local write. What it must do is what the same write does to the twin. */
  write(node: Node, write: Write): void {
    this.writes.push(write);
    const { store, book, twin } = node;
    const [before, digest, held] = [twin.states(), store.digest(), book.heldText()];
    const isStamped = write.kind === "rows" && write.rows.some(({ stamp }) => stamp !== undefined);
    const isVoid = isStamped && this.#isOutranked(node, write.rows[0]);
    const affected = isVoid ? [0] : twin.run(write);
    const outcome = must(store.commit([write], node.wallMs)[0], "an outcome");
    equal(outcome.ok, affected !== undefined, outcome.ok ? "it should have failed" : outcome.error.message);
    if (!outcome.ok || affected === undefined)
      return equal(store.digest(), digest, "a failed write changed the digest");
    if (write.kind === "statements") equal(String(outcome.rowsAffected), String(affected), "rows affected");
    const moved = differences(before, twin.states());
    const { change } = outcome;
    if (change === undefined) {
      equal([...moved].join(), "", "rows changed and no version was made");
      equal(store.digest(), digest, "a write that did nothing changed the digest");
      return equal(heldTextOf(store.holdings()), held, "a write that did nothing changed the holdings");
    }
    this.#checkNew(node, change, write, moved);
    book.apply(change);
    this.log.push(change);
    this.#rows.set(versionId(change), readBody(change));
    this.#markSynced(node);
  }

  /** A change arrives as it was made, perhaps not for the first time. */
  deliver(node: Node, changes: readonly Change[]): void {
    const fresh = new Set(changes.filter((it) => !node.book.holds(it.origin, it.version)).map(versionId));
    const outcome = node.store.apply(changes);
    equal(outcome.applied, fresh.size, "changes applied");
    equal(outcome.quarantined.length, 0, outcome.quarantined[0]?.reason);
    for (const change of changes) for (const row of node.book.apply(change)) node.twin.set(row);
    node.survivors.push(node.book.clone());
  }

  /** One round of anti-entropy: what `from` holds and `to` does not, read back from rows, about `bytesMax` of it. */
  repair(to: Node, from: Node, bytesMax: number): void {
    for (const [origin, versions] of from.book.held) {
      if (origin === to.store.origin) continue;
      const missing = [...versions].filter((version) => !to.book.holds(origin, version));
      if (missing.length === 0) continue;
      const wanted = Ranges.from(missing.map((version): Range => [version, version]));
      const { changes, empty } = from.store.extract(origin, wanted, bytesMax);
      this.#checkExtract(from, origin, wanted, changes, empty);
      equal(mapText(from.store.basis()), mapText(from.book.basis()), "basis");
      const basis = new Map([...from.book.basis()].filter(([of]) => of !== to.store.origin));
      to.store.apply(changes, [{ origin, versions: empty }], basis);
      for (const change of changes) for (const row of to.book.apply(change)) to.twin.set(row);
      for (const [low, high] of empty.spans) for (let v = low; v <= high; v++) to.book.hold(origin, v);
      for (const [of, head] of basis) to.book.owe(of, head);
      to.survivors.push(to.book.clone());
    }
  }

  reopen(node: Node): void {
    node.store.close();
    node.store = this.#open(node.path, node.index);
    this.#markSynced(node);
  }

  /** Power is lost: the file, and any prefix of the write-ahead log that ends after the last sync, are what is left. */
  losePower(node: Node, keptShare: number): void {
    const written = walBytes(node.path);
    const after = this.#scratch.newPath();
    copyFileSync(node.path, after);
    if (written > 0) {
      copyFileSync(`${node.path}-wal`, `${after}-wal`);
      truncateSync(`${after}-wal`, node.syncedBytes + Math.floor((written - node.syncedBytes) * keptShare));
    }
    node.store.close();
    node.path = after;
    node.store = this.#open(after, node.index);
    const left = heldTextOf(node.store.holdings());
    const survivor = node.survivors.findLast((book) => book.heldText() === left);
    ok(survivor !== undefined, `power loss left what never was a state: ${left}`);
    node.book = survivor.clone();
    this.#rewriteTwin(node);
    this.#markSynced(node);
  }

  /** An image of `from` becomes the database of `node`, which is a new origin from then on. */
  adopt(node: Node, from: Node): void {
    const image = this.#scratch.newPath();
    const facts = takeImage(from.path, image);
    equal(facts.digest, from.store.digest(), "the image's digest");
    equal(facts.isWhole, from.book.isWhole, "whether the image is whole");
    adoptImage(image, { cluster: facts.cluster, digest: facts.digest, generation: 1 });
    node.store.close();
    node.path = image;
    node.store = this.#open(image, node.index, ++this.#databases);
    ok(!this.log.some(({ origin }) => origin === node.store.origin), "an adopted image is a new origin");
    node.book = from.book.clone();
    this.#rewriteTwin(node);
    this.#markSynced(node);
  }

  /** Every clock goes on by a tick, each at its own rate. */
  tick(): void {
    for (const node of this.nodes) node.wallMs += TICK_MS * node.rate;
  }

  /** Everything that must be true at any moment. Scrubbing reads the whole file, so only those in `scrubs` are. */
  check(scrubs: readonly Node[]): void {
    for (const node of this.nodes) checkNode(node);
    for (const a of this.nodes) for (const b of this.nodes) if (a.index < b.index) checkPair(a, b);
    for (const { path } of scrubs) equal(scrubbed(path), "", "scrub found");
  }

  #open(path: string, index: number, database = 0): SqliteStore {
    const newDbId = (): string => dbIdOf(index * 1000 + database);
    return openStore(path, index + 1, this.#schemaSql, { newDbId, walAutocheckpointPages: 0 });
  }

  #markSynced(node: Node): void {
    node.syncedBytes = walBytes(node.path);
    node.survivors.length = 0;
    node.survivors.push(node.book.clone());
  }

  #rewriteTwin(node: Node): void {
    node.twin.close();
    node.twin = new Twin(this.#schemaSql);
    for (const row of node.book.winners.values()) node.twin.set(row);
  }

  /** Is a row that brings its own stamp older than what is here, or nothing new? */
  #isOutranked({ book, twin }: Node, row: RowWrite | undefined): boolean {
    const { table, deleted, stamp } = must(row, "a row");
    const last = book.winners.get(idOf({ table, key: twin.keyOf(must(row, "a row")) }));
    if (last === undefined || stamp === undefined) return false;
    const [epoch, hlc] = last.stamp;
    if (epoch !== stamp.epoch) return stamp.epoch < epoch;
    return stamp.hlc < hlc || (stamp.hlc === hlc && deleted === true && last.cells === undefined);
  }

  /** A new change says what the twin shows, of the rows that moved, under stamps never given out before. */
  #checkNew({ store, book, twin }: Node, change: Change, write: Write, moved: ReadonlySet<string>): void {
    const { origin, version, hlc } = change;
    equal(origin, store.origin);
    equal(version, Math.max(0, ...(book.held.get(origin) ?? [])) + 1, "versions have no gaps and never repeat");
    ok(hlc > book.high, `the stamp ${hlc} does not follow ${book.high}`);
    const rows = readBody(change);
    const states = twin.states();
    const stamp = write.kind === "rows" ? write.rows[0]?.stamp : undefined;
    for (const row of rows) {
      const last = book.winners.get(idOf(row));
      equal(
        row.cells === undefined ? undefined : twin.fill(row),
        states.get(idOf(row)),
        `what it says of ${idOf(row)}`,
      );
      const isRepair = last?.stamp[0] === stamp?.epoch && last?.stamp[1] === stamp?.hlc;
      equal(row.stamp[0], stamp?.epoch ?? last?.stamp[0] ?? 0, "epoch");
      equal(row.stamp[1], stamp === undefined ? hlc : stamp.hlc + (isRepair ? 1n : 0n), "stamp");
    }
    const said = new Set(rows.map(idOf));
    equal(said.size, rows.length, "a change says one thing of a row");
    const unsaid = [...moved].filter((id) => !said.has(id));
    equal(unsaid.join(), "", "rows that changed and are not in the change");
    const needless = [...said].filter((id) => !moved.has(id));
    if (stamp === undefined) equal(needless.join(), "", "rows in the change that did not change");
  }

  /** What is read back from rows says what was once written, all of it that still counts, and calls nothing else empty. */
  #checkExtract(from: Node, origin: OriginId, wanted: Ranges, changes: readonly Change[], empty: Ranges): void {
    const answered = Ranges.from(changes.map(({ version }): Range => [version, version]));
    ok(answered.intersect(empty).isEmpty, "a version is said and called empty");
    ok(answered.union(empty).subtract(wanted).isEmpty, "versions that nobody asked for");
    const live = (version: number): BookRow[] => {
      const written = must(this.#rows.get(versionId({ origin, version })), `version ${version}`);
      return written.filter((row) => from.book.winners.get(idOf(row))?.stamp.join() === row.stamp.join());
    };
    for (const change of changes) {
      const text = (row: BookRow): string => `${idOf(row)}@${row.stamp.join("/")}=${row.cells && from.twin.fill(row)}`;
      const written = must(this.#rows.get(versionId(change)), "a version").map(text);
      const said = readBody(change).map(text);
      equal(said.filter((it) => !written.includes(it)).join(), "", "it says what was never written");
      const lost = live(change.version).map(text).filter((it) => !said.includes(it)); // prettier-ignore
      equal(lost.join(), "", "it leaves out what still counts");
    }
    for (const [low, high] of empty.spans) {
      for (let v = low; v <= high; v++) equal(live(v).map(idOf).join(), "", `version ${v} is called empty and is not`);
    }
  }
}

function checkNode({ index, store, book, twin }: Node): void {
  const found = twin.rowsText((sql) => store.read(sql));
  equal(found, twin.rowsText(), `rows of node ${index}`);
  const winners = [...book.winners.values()].filter(({ cells }) => cells !== undefined);
  const states = twin.states();
  equal(states.size, winners.length, `how many rows node ${index} has`);
  for (const row of winners)
    equal(states.get(idOf(row)), twin.fill(row), `the row of the greatest stamp: ${idOf(row)}`);
  equal(heldTextOf(store.holdings()), book.heldText(), `holdings of node ${index}`);
  equal(store.isWhole, book.isWhole, `whether node ${index} is whole`);
  equal(store.comparableDigest(), book.isWhole ? store.digest() : undefined);
  equal(store.highWater() >= book.high, true, `the clock of node ${index} fell behind what it has seen`);
}

/** Digests are equal exactly when states are; and equal holdings of whole states mean equal digests. */
function checkPair(a: Node, b: Node): void {
  const isEqual = a.book.stateText((row) => a.twin.fill(row)) === b.book.stateText((row) => b.twin.fill(row));
  equal(a.store.digest() === b.store.digest(), isEqual, `digests of nodes ${a.index} and ${b.index}, states equal: ${isEqual}`); // prettier-ignore
  if (a.book.heldText() !== b.book.heldText()) return;
  const digests = [a.store.comparableDigest(), b.store.comparableDigest()];
  if (!digests.includes(undefined)) equal(digests[0], digests[1], "equal holdings with unequal digests");
}

function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Set<string> {
  const moved = new Set<string>();
  for (const id of [...before.keys(), ...after.keys()]) if (before.get(id) !== after.get(id)) moved.add(id);
  return moved;
}

function heldTextOf(holdings: Holdings): string {
  const texts = [...holdings].map(([origin, holding]) => {
    const versions = heldVersions(holding).spans.flatMap(([low, high]) => {
      return Array.from({ length: high - low + 1 }, (_, i) => low + i);
    });
    return `${origin}:${versions.join()}`;
  });
  return texts.sort().join(" ");
}

function mapText(map: ReadonlyMap<string, number>): string {
  const texts = [...map].filter(([, head]) => head > 0).map(([origin, head]) => `${origin}:${head}`);
  return texts.sort().join(" ");
}

function versionId({ origin, version }: { readonly origin: OriginId; readonly version: number }): string {
  return `${origin}:${version}`;
}

function walBytes(path: string): number {
  return existsSync(`${path}-wal`) ? statSync(`${path}-wal`).size : 0;
}
