/** What must be true of a healed and quiet cluster, whatever happened before. Each checker says what it found wrong. */
import type { SqlValue } from "@patina/base";
import { must } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import type { World } from "./world.js";

type Checker = (world: World, stores: readonly SqliteStore[]) => string[];

const equalHoldings: Checker = (_world, stores) =>
  unequal("holdings", stores, (store) => {
    const rows = [...store.holdings()].map(([origin, { head, gaps }]) => `${origin}:${head}!${gaps.toString()}`);
    return rows.sort().join(" ");
  });

const equalDigests: Checker = (_world, stores) => unequal("digest", stores, (store) => store.digest());

const equalTables: Checker = (_world, stores) =>
  ["machines", "ledger"].flatMap((table) =>
    unequal(`table ${table}`, stores, (store) => rowsText(store.read(`SELECT * FROM ${table} ORDER BY id`))),
  );

const noAcknowledgedWriteLost: Checker = (world, stores) => {
  const problems: string[] = [];
  stores.forEach((store, node) => {
    const ids = new Set(store.read("SELECT id FROM ledger").map(([id]) => id));
    const lost = world.acknowledged.filter(({ ledgerId }) => !ids.has(ledgerId));
    const [first] = lost;
    if (first !== undefined) {
      problems.push(
        `node ${node} lacks ${lost.length} acknowledged writes, first ${first.ledgerId} of node ${first.node}`,
      );
    }
  });
  return problems;
};

const nothingQuarantined: Checker = (_world, stores) =>
  stores.flatMap((store, node) => (store.quarantinedCount() > 0 ? [`node ${node} has changes in quarantine`] : []));

const neverDiverged: Checker = ({ events }) => {
  const bad = events.filter(({ event }) => event.kind === "divergence" || event.kind === "store-failed");
  return bad.slice(0, 3).map(({ node, event }) => `node ${node} reported ${event.kind}`);
};

const everybodySeesEverybody: Checker = (world) =>
  world.nodes.flatMap(({ agent, index }) => {
    const alive = must(agent, "a running agent")
      .members()
      .filter(({ state }) => state === "alive").length;
    return alive === world.nodes.length - 1
      ? []
      : [`node ${index} sees ${alive} of ${world.nodes.length - 1} others alive`];
  });

const CHECKERS: readonly Checker[] = [
  equalHoldings,
  equalDigests,
  equalTables,
  noAcknowledgedWriteLost,
  nothingQuarantined,
  neverDiverged,
  everybodySeesEverybody,
];

/** All findings; none means the run passed. Every node must be up. */
export function checkWorld(world: World): string[] {
  const stores = world.nodes.map(({ store, index }) => must(store, `node ${index} is up`));
  return CHECKERS.flatMap((checker) => checker(world, stores));
}

function unequal(what: string, stores: readonly SqliteStore[], read: (store: SqliteStore) => string): string[] {
  const [first, ...rest] = stores.map(read);
  return rest.flatMap((value, i) => (value === first ? [] : [`${what} of node ${i + 1} differs from node 0`]));
}

function rowsText(rows: readonly SqlValue[][]): string {
  return rows.map((row) => row.map(String).join("|")).join("\n");
}
