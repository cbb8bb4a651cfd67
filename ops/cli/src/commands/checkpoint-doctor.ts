/** `patina checkpoint doctor URL`: what an object store can do, and whether checkpoints may be kept there. */
import { type Command, Option } from "commander";
import pc from "picocolors";
import { examineStore, type Examination, openObjectStore, type Probe } from "@patina/checkpoint";
import { newDbId, systemNow } from "@patina/runtime";
import { EXIT } from "../exit-status.js";
import { type OutputFormat, print, renderTable } from "../output.js";

export function addCheckpointDoctor(checkpoint: Command): void {
  checkpoint
    .command("doctor")
    .description("what an object store can do")
    .argument("<url>", "s3://bucket/prefix?… or file:///directory")
    .addOption(new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"))
    .action(examine);
}

async function examine(url: string, { output }: { output: OutputFormat }): Promise<void> {
  const wallMs = (): number => systemNow().wallMs;
  const examination = await examineStore(openObjectStore(url, { wallMs }), { wallMs, nonce: newDbId() });
  print(output, examination, () => tableOf(examination));
  if (examination.level === "unusable") process.exitCode = EXIT.findings;
}

const COLOURS: Record<Probe["verdict"], (text: string) => string> = { good: pc.green, advice: pc.yellow, bad: pc.red };

const LEVELS: Record<Examination["level"], string> = {
  "create-only": pc.green("create-only: good for everything"),
  "rendezvous-only": pc.yellow("rendezvous only: good for one writer at a time"),
  unusable: pc.red("unusable: keep no checkpoints there"),
};

function tableOf({ store, level, probes }: Examination): string {
  const rows = probes.map(({ question, verdict, found }) => [question, COLOURS[verdict](verdict), found]);
  return `${renderTable(["probe", "verdict", "found"], rows)}${store} is ${LEVELS[level]}\n`;
}
