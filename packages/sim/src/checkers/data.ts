/** C: the data. What is held is on disk, equal holdings are equal states, and rows are what the chronicle makes of them. */
import { type Holdings, holdingsHash, holdsUpTo, must, NO_HOLDING, originNode, type SqlValue } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import type { Machine } from "../machine/machine.js";
import { TABLE_COLUMNS } from "../machine/schema.js";
import type { World } from "../world/world.js";

/** C2, at any time: of all that run, those that hold the same have the same digest. */
export function checkDigests({ machines, chronicle }: World): void {
  if (chronicle.forked.size > 0) return;
  const digests = new Map<string, { index: number; digest: string }>();
  for (const { index, store } of machines) {
    const digest = store?.comparableDigest();
    if (store === undefined || digest === undefined) continue;
    const held = holdingsHash(store.holdings());
    const other = digests.get(held);
    if (other === undefined) digests.set(held, { index, digest });
    else if (other.digest !== digest)
      chronicle.broken("C2", `nodes ${other.index} and ${index} hold the same and differ`);
  }
}

/** C3, at any time: what memory says is held is what the disk says. */
export function checkHoldings({ chronicle }: World, { index, store }: Machine): void {
  if (store === undefined) return;
  const onDisk = store.read("SELECT origin, head, gaps FROM _patina_origins WHERE head > 0 ORDER BY origin");
  if (onDisk.map((row) => row.join(":")).join(" ") !== textOf(store.holdings(), ":")) {
    chronicle.broken("C3", `node ${index} holds other versions on disk than in memory`);
  }
}

/** C5, at any time: once nothing is owed, the rows are the greatest states of the versions held. */
export function checkRows({ chronicle }: World, { index, store }: Machine): void {
  if (store?.isWhole !== true || chronicle.forked.size > 0 || chronicle.hasLostRows) return;
  const holdings = store.holdings();
  for (const table of ["machines", "ledger", "leases"]) {
    const expected = chronicle.expectedRows(table, holdings);
    const rows = store.read(`SELECT ${must(TABLE_COLUMNS.get(table), "a table")} FROM ${table}`);
    const wrong = rows.find((row) => expected.get(String(row[0])) !== row.map(String).join("|"));
    if (wrong !== undefined) {
      const [key] = wrong.map(String);
      chronicle.broken(
        "C5",
        `node ${index}: ${table} ${wrong.map(String).join("|")}, expected ${expected.get(key ?? "") ?? "no row"}`,
      );
    } else if (rows.length !== expected.size) {
      chronicle.broken("C5", `node ${index} lacks ${expected.size - rows.length} rows of ${table}`);
    }
  }
}

/** C1, in the end: equal holdings, digests, tables and chains; C4: every acknowledged write, everywhere. */
export function checkConverged(world: World): string[] {
  const stores = world.core.map(({ store }) => must(store, "a running node's store"));
  const isForked = world.chronicle.forked.size > 0;
  const states = [
    ...unequal("the digest", stores, (store) => store.digest()),
    ...["machines", "ledger", "leases"].flatMap((table) =>
      unequal(`table ${table}`, stores, (store) => rowsText(store.read(`SELECT * FROM ${table} ORDER BY id`))),
    ),
    ...(isForked ? [] : chains(stores)),
  ];
  const isAwaiting = awaitsTheLost(world, stores);
  const isExplained = isAwaiting || (isForked && (isForkFound(world) || isForkHidden(stores)));
  const running = new Set(stores.map(({ origin }) => originNode(origin)));
  const isCompared = (origin: string): boolean => !isAwaiting || running.has(originNode(origin));
  const holdings = unequal("the holdings", stores, (store) =>
    textOf(new Map([...store.holdings()].filter(([origin]) => isCompared(origin))), ":"),
  );
  return [
    ...holdings,
    ...(isExplained ? [] : states),
    ...(isExplained || isForked ? [] : stores.flatMap(owing)),
    ...lostWrites(world, stores),
  ];
}

/** With everybody who is enlisted there, nothing is owed for ever; but of a node that nobody ever had on its list. */
function owing(store: SqliteStore, node: number): string[] {
  const holdings = store.holdings();
  const owed = [...store.basis()].filter(
    ([origin, head]) =>
      !holdsUpTo(holdings.get(origin) ?? NO_HOLDING, head) && store.members.enlisted(originNode(origin)) !== undefined,
  );
  return owed.map(([origin]) => `C1: core node ${node} still waits for what ${origin} alone held`);
}

/** Where a node was copied or put back, its two histories may differ for good: then somebody must have found that out. */
function isForkFound({ coverage }: World): boolean {
  return coverage.seen.has("two histories under one name were found") || coverage.seen.has("an old disk was found out");
}

/**
 * Histories of one length, with nothing after them, are told apart by the digest alone; and with a change in quarantine nobody
 * compares digests. It comes out with the next version, or when the quarantine is empty.
 */
function isForkHidden(stores: readonly SqliteStore[]): boolean {
  return stores.some((store) => store.quarantinedCount() > 0);
}

/**
 * A member that answers from its rows leaves out what its own later versions overwrote, and sends those next. When it is
 * lost in between, for good, its peers know that they wait for versions which nobody has. Until the others have given it up,
 * and each other one that does not run, they may differ, and say so by not comparing themselves.
 */
function awaitsTheLost({ coverage, core }: World, stores: readonly SqliteStore[]): boolean {
  const held = new Map<string, number>();
  for (const store of stores) {
    for (const [origin, { head }] of store.holdings()) held.set(origin, Math.max(head, held.get(origin) ?? 0));
  }
  const running = new Set(stores.map(({ origin }) => origin));
  const isAwaited = ([origin, head]: readonly [string, number]): boolean => head > (held.get(origin) ?? 0);
  const awaits = stores.some((store) => [...store.basis()].some((it) => isAwaited(it) && !running.has(it[0])));
  if (awaits) coverage.seen.add("rows waited for what a lost node alone held");
  const nodes = new Set(core.map(({ nodeId }) => nodeId));
  return awaits && stores.some(({ members }) => members.roster().some((node) => !nodes.has(node)));
}

/** The chain of an origin's versions, where two members know it up to the same version. */
function chains(stores: readonly SqliteStore[]): string[] {
  const known = new Map<string, string>();
  return stores.flatMap((store, node) =>
    store
      .read("SELECT origin, linked, chain FROM _patina_origins WHERE linked IS NOT NULL")
      .flatMap(([origin, linked, chain]) => {
        const key = `${String(origin)}:${String(linked)}`;
        const before = known.get(key);
        if (before === undefined) known.set(key, String(chain));
        return before === undefined || before === String(chain)
          ? []
          : [`C3: the chain of ${key} differs at node ${node}`];
      }),
  );
}

function lostWrites({ chronicle }: World, stores: readonly SqliteStore[]): string[] {
  return stores.flatMap((store, node) => {
    const ids = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
    const lost = chronicle.acknowledged.filter(
      ({ ledgerId, origin }) => !ids.has(ledgerId) && !chronicle.excused.has(ledgerId) && !chronicle.forked.has(origin),
    );
    const [first] = lost;
    return first === undefined
      ? []
      : [`C4: node ${node} lacks ${lost.length} acknowledged writes, first ${first.ledgerId}`];
  });
}

function unequal(what: string, stores: readonly SqliteStore[], read: (store: SqliteStore) => string): string[] {
  const [first, ...rest] = stores.map(read);
  return rest.flatMap((value, i) =>
    value === first ? [] : [`C1: ${what} of core node ${i + 1} differs from the first's`],
  );
}

function textOf(holdings: Holdings, between: string): string {
  const rows = [...holdings].map(([origin, { head, gaps }]) => [origin, head, gaps.toString()].join(between));
  return rows.sort().join(" ");
}

function rowsText(rows: readonly SqlValue[][]): string {
  return rows.map((row) => row.map(String).join("|")).join("\n");
}
