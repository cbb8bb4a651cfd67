#!/usr/bin/env node
/** The `patina` command. It is committed, not built, so that npm can link it on a fresh clone. */
import { existsSync } from "node:fs";

const main = new URL("../dist/main.js", import.meta.url);
if (!existsSync(main)) {
  process.stderr.write("patina is not built yet: run `npm start` or `npm run build` once\n");
  process.exit(70);
}
await import(main.href);
