/** Columns added to a table with many rows: how long, and what of the rows it costs to tell the others of. */
import { join } from "node:path";
import { must, Ranges, type RowWrite } from "@patina/base";
import type { SqliteStore } from "@patina/store";
import { AgentStore, commitOne, rowsWrite } from "../../databases.js";
import { Machines, MACHINES_SCHEMA } from "../../machines.js";
import { type Figure, figure, figureAlone } from "../../report.js";
import { secondsOf } from "../../rounds.js";
import type { SuiteOptions } from "../suite.js";

const FULL = { rows: 1_000_000, rounds: 3 };
const QUICK = { rows: 30_000, rounds: 1 };
const ROWS_PER_COMMIT = 1000;

export async function schemaChangeFigures({ isQuick, dir, rng }: SuiteOptions): Promise<Figure[]> {
  const { rows, rounds } = isQuick ? QUICK : FULL;
  const agent = new AgentStore(join(dir, "tables.db"));
  const { store } = agent;
  try {
    for (let made = 0; made < rows; made += ROWS_PER_COMMIT) {
      const [batch] = [...new Machines(ROWS_PER_COMMIT, rng.fork()).batches(ROWS_PER_COMMIT)];
      commitOne(store, rowsWrite(must(batch, "a batch")));
      await new Promise((resolve) => setImmediate(resolve)); // The thread that cuts the log is asked from this one.
    }
    const costs = { nullable: [] as Cost[], withDefault: [] as Cost[] };
    for (let round = 0; round < rounds; round++) {
      costs.nullable.push(await addColumn(store, `note_${round} TEXT`));
      costs.withDefault.push(await addColumn(store, `zone_${round} TEXT NOT NULL DEFAULT 'ams'`));
    }
    const at = `on ${rows.toLocaleString("en-US")} rows`;
    return [
      ...figuresOf(`add a nullable column ${at}`, costs.nullable),
      ...figuresOf(`add a column with a default ${at}`, costs.withDefault),
    ];
  } finally {
    await agent.close();
  }
}

interface Cost {
  readonly seconds: number;
  readonly rowVersions: number;
  readonly schemaBytes: number;
  readonly otherBytes: number;
}

async function addColumn(store: SqliteStore, definition: string): Promise<Cost> {
  const head = (): number => store.holdings().get(store.origin)?.head ?? 0;
  const before = head();
  const sql = store.schemas.current().sql || MACHINES_SCHEMA;
  const wider = sql.replace(/\n\);/, `,\n  ${definition}\n);`);
  let row: RowWrite | undefined;
  let schemaBytes = 0;
  const seconds = await secondsOf(() => {
    row = must(store.schemas.plan(wider).write, "a column to add");
    schemaBytes = must(commitOne(store, { kind: "rows", rows: [row] }).change, "a version of the schema").body.length;
  });
  const [versions = [0n]] = store.read("SELECT count(*) FROM _patina_rows_machines WHERE _patina_version > ?", [BigInt(before)]); // prettier-ignore
  const { changes } = store.extract(store.origin, Ranges.of(before + 1, head()), Infinity);
  const bytes = changes.reduce((sum, { body }) => sum + body.length, 0);
  return { seconds, rowVersions: Number(versions[0]), schemaBytes, otherBytes: bytes - schemaBytes };
}

function figuresOf(name: string, costs: readonly Cost[]): Figure[] {
  const of = (key: keyof Cost): number[] => costs.map((cost) => cost[key]);
  return [
    figureAlone({ name, unit: "s", values: of("seconds") }, { of: "value", atMost: 1 }),
    figureAlone({ name: "  row versions made by it", unit: "", values: of("rowVersions") }, { of: "value", atMost: 0 }),
    figureAlone({ name: "  bytes to gossip, rows", unit: "B", values: of("otherBytes") }, { of: "value", atMost: 0 }),
    figure({ name: "  bytes to gossip, the schema itself", unit: "B", values: of("schemaBytes") }),
  ];
}
