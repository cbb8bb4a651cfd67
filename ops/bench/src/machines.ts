/**
 * The rows everything is measured with: a region's machines, ten columns and about 400 bytes a row, the size at which
 * the reference figures were taken.
 */
import { must, type Rng, type RowWrite, type SqlValue, type Statement } from "@patina/base";

/** Plain SQL: the store and bare SQLite take the very same text. */
export const MACHINES_SCHEMA = `
-- @app app
CREATE TABLE machines (
  id         TEXT NOT NULL PRIMARY KEY,
  app        TEXT NOT NULL DEFAULT '',
  worker     TEXT NOT NULL DEFAULT '',
  state      TEXT NOT NULL DEFAULT 'created',
  address    TEXT NOT NULL DEFAULT '',
  cpus       INTEGER NOT NULL DEFAULT 0,
  memory_mb  INTEGER NOT NULL DEFAULT 0,
  writes     INTEGER NOT NULL DEFAULT 0,
  updated_ms INTEGER NOT NULL DEFAULT 0,
  config     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX machines_by_app ON machines (app);
`;

const COLUMNS = [
  "id",
  "app",
  "worker",
  "state",
  "address",
  "cpus",
  "memory_mb",
  "writes",
  "updated_ms",
  "config",
] as const;

export const UPSERT = `INSERT INTO machines (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map(() => "?").join(", ")})
  ON CONFLICT (id) DO UPDATE SET ${COLUMNS.slice(1)
    .map((name) => `${name} = excluded.${name}`)
    .join(", ")}`;

/** One row as each way of writing wants it, made ahead so that none is charged for it. */
export interface Machine {
  readonly params: readonly SqlValue[];
  readonly write: RowWrite;
  readonly statement: Statement;
}

const STATES = ["started", "stopped", "started", "destroyed"] as const;
const MACHINES_PER_APP = 20;
const CONFIG_CHARACTERS = 300;
/** A date in 2026: rows carry one, and that it is always the same keeps runs alike. */
const EPOCH_MS = 1_790_000_000_000;

/** A region's machines as they are now. Changing one changes three columns, as a state update does. */
export class Machines {
  readonly #rng: Rng;
  readonly #rows: Record<(typeof COLUMNS)[number], SqlValue>[];
  #changes = 0;

  constructor(count: number, rng: Rng) {
    this.#rng = rng;
    this.#rows = Array.from({ length: count }, () => newRow(count, rng));
  }

  get count(): number {
    return this.#rows.length;
  }

  at(index: number): Machine {
    return machineOf(must(this.#rows[index], "a machine"));
  }

  /** Gives the machine a state it did not have before, and returns it so. `writes` tells it from every other change. */
  change(index: number): Machine {
    const row = must(this.#rows[index], "a machine");
    const writes = ++this.#changes;
    row.state = STATES[writes % STATES.length] ?? "started";
    row.writes = BigInt(writes);
    row.updated_ms = BigInt(EPOCH_MS + writes);
    return machineOf(row);
  }

  /** Different machines, drawn anew at each call. */
  draw(count: number): number[] {
    const drawn = new Set<number>();
    while (drawn.size < Math.min(count, this.count)) drawn.add(this.#rng.below(this.count));
    return [...drawn];
  }

  /** All of them, so many at a time. */
  *batches(size: number): Generator<Machine[]> {
    for (let start = 0; start < this.count; start += size) {
      const indexes = Array.from({ length: Math.min(size, this.count - start) }, (_, i) => start + i);
      yield indexes.map((index) => this.at(index));
    }
  }
}

function newRow(count: number, rng: Rng): Record<(typeof COLUMNS)[number], SqlValue> {
  const app = rng.below(Math.max(1, Math.floor(count / MACHINES_PER_APP)));
  return {
    id: hex(rng, 14),
    app: `app-${app}`,
    worker: `worker-${rng.below(200)}`,
    state: "created",
    address: `fdaa:0:${hex(rng, 4)}:a7b:${hex(rng, 4)}:0:${hex(rng, 4)}:2`,
    cpus: BigInt(1 + rng.below(8)),
    memory_mb: BigInt(256 << rng.below(6)),
    writes: 0n,
    updated_ms: BigInt(EPOCH_MS),
    config: configText(rng),
  };
}

/** Text that compresses about as real configuration does: words that recur around values that do not. */
export function configText(rng: Rng): string {
  const image = `registry.example/app-${rng.below(500)}:${hex(rng, 12)}`;
  const services = `"services":[{"internal_port":8080,"protocol":"tcp","ports":[{"port":443,"handlers":["tls","http"]}]}]`;
  const text = `{"image":"${image}","env":{"PRIMARY_REGION":"iad","RELEASE":"${hex(rng, 24)}"},${services},"checks":"`;
  return `${text}${hex(rng, Math.max(0, CONFIG_CHARACTERS - text.length - 2))}"}`;
}

function hex(rng: Rng, digits: number): string {
  let text = "";
  while (text.length < digits) text += rng.u32().toString(16).padStart(8, "0");
  return text.slice(0, digits);
}

function machineOf(row: Readonly<Record<(typeof COLUMNS)[number], SqlValue>>): Machine {
  const params = COLUMNS.map((name) => row[name]);
  return { params, write: { table: "machines", values: { ...row } }, statement: { sql: UPSERT, params } };
}
