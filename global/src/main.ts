/** The global agent with its router: `node global/dist/main.js --config FILE.toml`. Configuration, wiring, run. */
import { AgentProcess, loadConfig, readSchema, releaseVersion, runProgram } from "@patina/process";
import { globalConfigSchema } from "./config.js";
import { GlobalTier } from "./global-tier.js";
import { globalOperations } from "./routes/operations.js";
import { DERIVED_TABLES, SCHEMA_FILES } from "./tier.js";

await runProgram({
  argv: process.argv.slice(2),
  start: async (configPath, onFatal) => {
    const config = loadConfig(configPath, process.env, globalConfigSchema);
    const schemaSql = readSchema(SCHEMA_FILES);
    const tier = { role: "global", schemaSql, derivedTables: DERIVED_TABLES, operations: globalOperations } as const;
    const agent = await AgentProcess.start({ config, tier, version: releaseVersion(), onFatal });
    return GlobalTier.start(agent, config);
  },
});
