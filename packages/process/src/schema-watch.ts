/** Says in the log which schema this member has, and tells the one whose apply lost to another of the same version. */
import { type ChangedRow, originNode } from "@patina/base";
import { type SchemaVersion, SCHEMAS_TABLE_NAME, type SqliteStore } from "@patina/store";
import type { Logger } from "@patina/telemetry";

export class SchemaWatch {
  readonly #store: SqliteStore;
  readonly #log: Logger;
  #latest: SchemaVersion | undefined;

  constructor(store: SqliteStore, log: Logger) {
    this.#store = store;
    this.#log = log;
    this.#latest = store.schemas.current().history[0];
  }

  onChanged(rows: readonly ChangedRow[]): void {
    if (!rows.some(({ table }) => table === SCHEMAS_TABLE_NAME)) return;
    const before = this.#latest;
    const { history, hash } = this.#store.schemas.current();
    const same = history.find(({ version }) => version === before?.version);
    this.#latest = history[0];
    const self = originNode(this.#store.origin);
    if (before !== undefined && before.author === self && same !== undefined && same.sql !== before.sql) {
      const fields = { version: before.version, by: same.author };
      this.#log.warn(
        fields,
        "a schema applied here lost to another of the same version: bring it up to date and apply again",
      );
    }
    this.#log.info({ version: this.#latest?.version, by: this.#latest?.author, hash }, "schema adopted");
  }
}
