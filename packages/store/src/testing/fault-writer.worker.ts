/**
 * A process that writes through a store on a file system that is made to fail. It never gives up: after the first failure
 * it tries once more, local write and remote change alike, and says what became of each, a JSON line at a time.
 *
 * Arguments: the database's path, that of the store changes come from, a seed, and which share are changes. It ends when a line comes in on stdin.
 */
import { writeSync } from "node:fs";
import { asAppError, Rng } from "@patina/base";
import { CRASH_WALL_MS, groupWrite, heldText, openCrashStore } from "./crash-workload.js";

/** Changes of the other store, taken in now and then while they last. */
const ARRIVALS = 500;

const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

/** The code and text with which `work` fails, or nothing. */
function failureOf(work: () => unknown): { code: string; message: string } | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    const { code, message } = asAppError(thrown);
    return { code, message };
  }
}

const [path = "", otherPath = "", seed = "", share = ""] = process.argv.slice(2);
const draws = new Rng(Number(seed));
const store = openCrashStore(path, 1);
const other = openCrashStore(otherPath, 2);
/** Made beforehand: a fault may hit the whole process. */
const arrivals = Array.from({ length: ARRIVALS }, (_, i) => {
  const name = `${seed}-other-${i}`;
  const [outcome] = other.commit([groupWrite(name, draws)], CRASH_WALL_MS);
  return { name, change: outcome?.ok === true ? outcome.change : undefined };
});
say({ kind: "open" });

function step(number: number): void {
  const arrival = draws.chance(Number(share)) ? arrivals.pop() : undefined;
  const name = arrival?.name ?? `${seed}-${number}`;
  const before = { held: heldText(store), digest: store.digest() };
  const failure = failureOf(() => {
    if (arrival?.change !== undefined) store.apply([arrival.change]);
    else store.commit([groupWrite(name, draws)], CRASH_WALL_MS);
  });
  if (failure === undefined) {
    say({ kind: "done", name });
    setImmediate(step, number + 1);
    return;
  }
  const again = failureOf(() => store.commit([groupWrite(`${name}-again`, draws)], CRASH_WALL_MS));
  const remote = failureOf(() => store.apply([], [], new Map([["0a".repeat(24), 5]])));
  const after = { held: heldText(store), digest: store.digest() };
  say({ kind: "failed", failure, again, remote, isUnchanged: JSON.stringify(before) === JSON.stringify(after) });
}

process.stdin.once("data", () => process.exit(0));
step(0);
