/** The regional agent: `node regional/dist/main.js --config FILE.toml`. Configuration, wiring, run; nothing else. */
import { AgentProcess, loadConfig, readSchema, releaseVersion, runProgram } from "@patina/process";
import { BorderDriver } from "./border-driver.js";
import { regionalConfigSchema } from "./config.js";
import { regionalOperations } from "./operations.js";
import { regionalRoutes } from "./routes.js";
import { SCHEMA_FILES } from "./tier.js";

await runProgram({
  argv: process.argv.slice(2),
  start: async (configPath, onFatal) => {
    const config = loadConfig(configPath, process.env, regionalConfigSchema);
    const schemaSql = readSchema(config.schema?.paths ?? SCHEMA_FILES);
    const tier = { role: "regional", schemaSql, operations: regionalOperations } as const;
    const agent = await AgentProcess.start({ config, tier, version: releaseVersion(), onFatal });
    const border = new BorderDriver({
      process: agent,
      globalApis: config.global.apis,
      holdDownMs: config.summary.hold_down_ms,
      location: config.location,
    });
    try {
      await agent.serve(regionalRoutes(agent, border, config.global.apis));
    } catch (thrown) {
      await agent.stop();
      throw thrown;
    }
    border.start();
    return {
      stop: async () => {
        border.stop();
        await agent.stop();
      },
    };
  },
});
