/** A small JSON file that is replaced whole: a reader finds the old one or the new one, never half of one. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { AppError, messageOf } from "@patina/base";
import { z } from "zod";

export class KeptFile<T> {
  readonly path: string;
  readonly #schema: z.ZodType<T>;
  #text: string | undefined;

  constructor(path: string, schema: z.ZodType<T>) {
    this.path = path;
    this.#schema = schema;
  }

  /** Undefined when it is not there, or is as it was when last read or written. Throws `config-invalid`. */
  readIfChanged(): T | undefined {
    const text = existsSync(this.path) ? readFileSync(this.path, "utf8") : undefined;
    if (text === this.#text || text === undefined) return undefined;
    this.#text = text;
    try {
      return this.#schema.parse(JSON.parse(text));
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
      throw new AppError("config-invalid", `${this.path} is not what it should be: ${why}`, {
        cause,
        hint: "Correct the file, or remove it.",
      });
    }
  }

  write(value: T): void {
    this.#text = `${JSON.stringify(value, undefined, 2)}\n`;
    writeFileSync(`${this.path}.new`, this.#text);
    renameSync(`${this.path}.new`, this.path);
  }
}
