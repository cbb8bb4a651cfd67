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

  /** `absent` when it is not there; undefined when it is as it was when last read or written. Throws `config-invalid`. */
  readIfChanged(absent: T): T | undefined {
    const text = existsSync(this.path) ? readFileSync(this.path, "utf8") : undefined;
    const isSame = text === this.#text;
    this.#text = text; // None, too: when it comes back, it is news whatever it says.
    if (text === undefined) return absent;
    if (isSame) return undefined;
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
