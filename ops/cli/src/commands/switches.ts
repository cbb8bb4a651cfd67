/**
 * `patina switch list|off|on`: takes rows of a table or an origin out of circulation at the routers, or one of the things
 * they do. It goes to each global agent itself, so that it needs neither gossip nor a restart.
 */
import { type Command, Argument } from "commander";
import { askEach } from "../fleet/ask-each.js";
import { print, renderTable } from "../output.js";
import { type CommonOptions, fleetOf, withCommon } from "./options.js";

interface Switches {
  readonly tables: readonly string[];
  readonly origins: readonly string[];
  readonly features: readonly string[];
}

const KINDS = { table: "tables", origin: "origins", feature: "features" } as const;
type Kind = keyof typeof KINDS;

export function addSwitch(program: Command): void {
  const command = program.command("switch").description("what is switched off at the routers");
  withCommon(command.command("list").description("what each global agent has switched off")).action(list);
  for (const state of ["off", "on"] as const) {
    withCommon(command.command(state).description(`switch something ${state} at every global agent`))
      .addArgument(new Argument("<kind>", "what kind of thing").choices(Object.keys(KINDS)))
      .argument("<name>", "a table, a region or origin, or a feature (hedge, kept, probe, query, watch, dns)")
      .action((kind: Kind, name: string, options: CommonOptions) => turn(state, kind, name, options));
  }
}

/** A router answers once its map has followed, and that of a million apps takes it a while. */
const TURN_TIMEOUT_MS = 120_000;

async function list(options: CommonOptions): Promise<void> {
  show(options, await askEach(fleetOf(options).global, (client) => client.request<Switches>("/v1/switches")));
}

async function turn(state: "on" | "off", kind: Kind, name: string, options: CommonOptions): Promise<void> {
  const answers = await askEach(fleetOf(options).global, async (client) => {
    const now = await client.request<Switches>("/v1/switches");
    const others = now[KINDS[kind]].filter((each) => each !== name);
    const body = { ...now, [KINDS[kind]]: state === "off" ? [...others, name] : others };
    return client.request<Switches>("/v1/switches", { method: "PUT", body, timeoutMs: TURN_TIMEOUT_MS });
  });
  show(options, answers);
}

function show(options: CommonOptions, answers: readonly (Switches & { agent: string })[]): void {
  print(options.output, answers, () => {
    const rows = answers.map(({ agent, tables, origins, features }) => {
      return [agent, ...[tables, origins, features].map((names) => names.join(" ") || "-")];
    });
    return renderTable(["agent", "tables off", "origins off", "features off"], rows);
  });
}
