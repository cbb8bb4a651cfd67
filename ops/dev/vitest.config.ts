/** How tests run: from the repository's root, two processes, each file on its own. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  cacheDir: "node_modules/.cache/vitest",
  test: {
    include: ["{packages,regional,global,ops}/**/src/**/*.test.ts", "ops/dev/**/*.test.ts"],
    exclude: ["**/dist/**", "**/node_modules/**"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", "./ops/dev/summary-reporter.ts"],
  },
});
