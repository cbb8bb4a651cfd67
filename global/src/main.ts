/** The global agent with its router: `node global/dist/main.js --config FILE.toml`. Configuration, wiring, run. */
import { agentConfigSchema, AgentProcess, loadConfig, readSchema, releaseVersion, runProgram } from "@patina/process";
import { Resolver } from "./resolver.js";
import { Rib } from "./rib.js";
import { globalRoutes } from "./routes.js";
import { SCHEMA_FILES } from "./tier.js";

await runProgram({
  argv: process.argv.slice(2),
  start: async (configPath, onFatal) => {
    const config = loadConfig(configPath, process.env, agentConfigSchema);
    const schemaSql = readSchema(SCHEMA_FILES.map((file) => new URL(`../schema/${file}`, import.meta.url)));
    const tier = { role: "global", schemaSql } as const;
    const agent = await AgentProcess.start({ config, tier, version: releaseVersion(), onFatal });
    const rib = new Rib(agent.store);
    agent.runtime.onEvent((event) => {
      if (event.kind === "changed") rib.onChanged(event.rows);
    });
    const resolver = new Resolver(rib, () => agent.runtime.agent.hasSynced);
    try {
      await agent.serve(globalRoutes(agent, rib, resolver));
    } catch (thrown) {
      await agent.stop();
      throw thrown;
    }
    return agent;
  },
});
