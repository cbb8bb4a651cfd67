/**
 * All live queries of one database, indexed by the table they read. Changed keys come in; for each query that can have
 * noticed, the change events to send come out, in Corrosion's form:
 *
 *   {"change":["insert" | "update" | "delete", rowId, cells, changeId]}
 *
 * Rows are read as they are *now*, not as they were when the key was reported: a key reported late or twice finds
 * nothing new and says nothing, so what a client applies always leads to what the query would answer.
 */
import { createHash } from "node:crypto";
import { AppError, asAppError, must } from "@patina/base";
import { parseSchema } from "@patina/store";
import type Database from "better-sqlite3";
import { isPositional, type LiveParams } from "./live-parameters.js";
import { LiveQuery, type TableKeys, tooManyRows } from "./live-query.js";
import { keyText, type LiveRow } from "./live-rows.js";
import type { KeyedTable, LiveQueryRules, SqlFunction } from "./parse-live-query.js";

export interface LiveQueriesLimits {
  readonly queriesMax: number;
  /** Rows one query may hold. */
  readonly rowsMax: number;
  /** Rows all queries together may hold. */
  readonly rowsTotalMax: number;
  /** Changes of a query a client may miss and still continue. */
  readonly changesKeptMax: number;
}

export const defaultLiveQueriesLimits: LiveQueriesLimits = {
  queriesMax: 1000,
  rowsMax: 100_000,
  rowsTotalMax: 1_000_000,
  changesKeptMax: 1000,
};

/** A query as it stands: applying the changes after `changeId` to `rows` keeps it current. */
export interface LiveSnapshot {
  readonly id: string;
  /** The same for the same text and parameters, on every node. */
  readonly hash: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly rows: readonly LiveRow[];
  readonly changeId: number;
}

export interface QueryChanges {
  readonly id: string;
  /** NDJSON change lines, oldest first. */
  readonly lines: readonly string[];
  /** The query could not go on and has been closed. */
  readonly ended: AppError | undefined;
}

const DETERMINISTIC = 0x800;

export class LiveQueries {
  readonly #db: Database.Database;
  readonly #newId: () => string;
  readonly #limits: LiveQueriesLimits;
  readonly #functions: LiveQueryRules["functions"];
  readonly #queries = new Map<string, LiveQuery>();
  readonly #idByIdentity = new Map<string, string>();
  readonly #queriesByTable = new Map<string, Set<LiveQuery>>();
  readonly #schemaVersion: Database.Statement;
  /** SQLite's own count of changes of the schema, when the queries were last held against it. */
  #checkedVersion: unknown;
  #rowsTotal = 0;

  /** `db` is a read-only connection nobody else uses. `newId` never repeats itself. */
  constructor(db: Database.Database, newId: () => string, limits: LiveQueriesLimits = defaultLiveQueriesLimits) {
    this.#db = db;
    this.#newId = newId;
    this.#limits = limits;
    this.#functions = readFunctions(db);
    this.#schemaVersion = db.prepare("PRAGMA schema_version").pluck();
    this.#checkedVersion = this.#schemaVersion.get();
  }

  /**
   * Opens a query, or joins the one there is with the same text and parameters. Throws `subscription-unsupported`,
   * `sql-error`, or `too-many`, and keeps nothing then.
   */
  open(sql: string, params: LiveParams): LiveSnapshot {
    const existing = this.find(sql, params);
    if (existing !== undefined) return this.snapshot(existing);
    if (this.#queries.size >= this.#limits.queriesMax) {
      throw new AppError("too-many", `${this.#queries.size} live queries are open already`, {
        hint: "Close some, or share one: the same text and parameters are one query.",
      });
    }
    const identity = identityOf(sql, params);
    const hash = createHash("sha256").update(identity).digest("hex").slice(0, 16);
    const { changesKeptMax } = this.#limits;
    const rules = { tables: readTables(this.#db), functions: this.#functions }; // The schema may have changed since.
    const query = new LiveQuery(this.#db, rules, { id: this.#newId(), hash, sql, params, changesKeptMax });
    query.start(this.#rowsMaxOf(query));
    this.#rowsTotal += query.known.size;
    this.#queries.set(query.id, query);
    this.#idByIdentity.set(identity, query.id);
    const siblings = this.#queriesByTable.get(query.table);
    if (siblings === undefined) this.#queriesByTable.set(query.table, new Set([query]));
    else siblings.add(query);
    return this.snapshot(query.id);
  }

  /** The id of the open query with this text and these parameters. */
  find(sql: string, params: LiveParams): string | undefined {
    return this.#idByIdentity.get(identityOf(sql, params));
  }

  /** Throws `subscription-unknown`. */
  snapshot(id: string): LiveSnapshot {
    const { hash, table, columns, known } = this.#get(id);
    return { id, hash, table, columns, rows: known.rows(), changeId: known.changeId };
  }

  /** The change lines after `changeId`. Throws `subscription-unknown` when the query or some of them are gone. */
  changesAfter(id: string, changeId: number): readonly string[] {
    const { known } = this.#get(id);
    const lines = known.changesAfter(changeId);
    if (lines !== undefined) return lines;
    const why =
      changeId > known.changeId
        ? `it is only at change ${known.changeId}`
        : `its changes right after ${changeId} are gone`;
    throw new AppError("subscription-unknown", `live query ${id} cannot continue after change ${changeId}: ${why}`, {
      hint: "Start over: subscribe again without from.",
    });
  }

  /** What the changed keys did to each query, in one snapshot of the database. Queries that saw nothing are left out. */
  onChanges(changes: readonly TableKeys[]): QueryChanges[] {
    const watched = changes.filter(({ table }) => this.#queriesByTable.has(table));
    if (watched.length === 0) return [];
    return this.#inOneSnapshot(() => {
      const ended = this.#endChanged();
      const touched = new Set(watched.flatMap(({ table }) => [...(this.#queriesByTable.get(table) ?? [])]));
      const advanced = [...touched].flatMap((query) =>
        this.#advance(query, (out) => {
          for (const { table, keys } of watched) if (table === query.table) query.recheck(keys, out);
        }),
      );
      return [...ended, ...advanced];
    });
  }

  /** Runs one query again as a whole. An id that is gone changes nothing. */
  rescan(id: string): QueryChanges[] {
    return this.#inOneSnapshot(() => {
      const ended = this.#endChanged();
      const query = this.#queries.get(id);
      if (query === undefined) return ended;
      return [...ended, ...this.#advance(query, (out) => query.rescan(this.#rowsMaxOf(query), out))];
    });
  }

  /** Forgets a query. One that is gone already stays gone. */
  close(id: string): void {
    const query = this.#queries.get(id);
    if (query === undefined) return;
    this.#queries.delete(id);
    this.#rowsTotal -= query.known.size;
    for (const [identity, owner] of this.#idByIdentity) if (owner === id) this.#idByIdentity.delete(identity);
    const siblings = must(this.#queriesByTable.get(query.table), "the queries of its table");
    siblings.delete(query);
    if (siblings.size === 0) this.#queriesByTable.delete(query.table);
  }

  /** Ends the queries that the schema has given other columns. */
  #endChanged(): QueryChanges[] {
    const version = this.#schemaVersion.get();
    if (version === this.#checkedVersion) return [];
    this.#checkedVersion = version;
    this.#db.prepare("SELECT 1 FROM sqlite_schema").get(); // Compiling alone would go by the schema that this connection last read.
    return [...this.#queries.values()].flatMap((query) =>
      this.#advance(query, () => query.assertSameColumns(this.#db)),
    );
  }

  /** One query's failure is its own: it ends, with the lines it had so far, and the others go on. */
  #advance(query: LiveQuery, work: (out: string[]) => void): QueryChanges[] {
    const lines: string[] = [];
    const before = query.known.size;
    let ended: AppError | undefined;
    try {
      work(lines);
    } catch (thrown) {
      ended = asAppError(thrown);
    }
    this.#rowsTotal += query.known.size - before;
    const hasGrown = query.known.size > before;
    const rowsMax = this.#rowsMaxOf(query);
    if (hasGrown && query.known.size > rowsMax) ended ??= tooManyRows(rowsMax);
    if (ended !== undefined) this.close(query.id);
    return lines.length === 0 && ended === undefined ? [] : [{ id: query.id, lines, ended }];
  }

  /** What one query may hold, given what the others do. */
  #rowsMaxOf(query: LiveQuery): number {
    const others = this.#rowsTotal - (this.#queries.has(query.id) ? query.known.size : 0);
    return Math.max(0, Math.min(this.#limits.rowsMax, this.#limits.rowsTotalMax - others));
  }

  #inOneSnapshot<T>(work: () => T): T {
    this.#db.exec("BEGIN");
    try {
      return work();
    } finally {
      this.#db.exec("COMMIT");
    }
  }

  #get(id: string): LiveQuery {
    const query = this.#queries.get(id);
    if (query !== undefined) return query;
    throw new AppError("subscription-unknown", `there is no live query ${id}`, {
      hint: "It was closed or the agent restarted; subscribe again with the query itself.",
    });
  }
}

function identityOf(sql: string, params: LiveParams): string {
  if (isPositional(params)) return `${sql}\n${keyText(params)}`;
  const names = Object.keys(params).sort();
  return `${sql}\n${keyText(names.flatMap((name) => [name, params[name] ?? null]))}`;
}

/** The replicated tables, from the schema the file itself keeps. */
function readTables(db: Database.Database): KeyedTable[] {
  const sql = db.prepare("SELECT value FROM _patina_meta WHERE key = 'schema'").pluck().get();
  return typeof sql === "string" ? parseSchema(sql).tables.map(({ name, key }) => ({ name, key })) : [];
}

/** What this build of SQLite says of its own functions. */
function readFunctions(db: Database.Database): Map<string, SqlFunction[]> {
  const functions = new Map<string, SqlFunction[]>();
  const rows = db.prepare("SELECT name, type, narg, flags FROM pragma_function_list").all();
  for (const { name, type, narg, flags } of rows as { name: string; type: string; narg: number; flags: number }[]) {
    const known = functions.get(name.toLowerCase()) ?? [];
    known.push({ isScalar: type === "s", isDeterministic: (flags & DETERMINISTIC) !== 0, argumentCount: narg });
    functions.set(name.toLowerCase(), known);
  }
  return functions;
}
