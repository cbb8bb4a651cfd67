/**
 * A process that writes through a store until it is killed, and says on stdout what has returned, a line each:
 *
 *   open HOLDINGS                  the store is open and holds this
 *   ack NAME ORIGIN VERSION        a local write is committed, as this version
 *   got NAME ORIGIN VERSION        a change of the other store is applied
 *   kept                           all that was got survives a loss of power from now on
 *
 * Arguments: the database's path, a seed, and how many steps to take.
 */
import { writeSync } from "node:fs";
import { Rng } from "@patina/base";
import type { SqliteStore } from "../sqlite-store.js";
import { CRASH_WALL_MS, groupWrite, heldText, openCrashStore, pull } from "./crash-workload.js";

const say = (line: string): void => void writeSync(1, `${line}\n`);

/** Some local writes share one commit. */
function writeLocally(store: SqliteStore, name: string, rng: Rng): void {
  const names = rng.chance(0.3) ? [name, `${name}b`, `${name}c`] : [name];
  const writes = names.map((it) => groupWrite(it, rng));
  store.commit(writes, CRASH_WALL_MS).forEach((outcome, i) => {
    if (!outcome.ok) throw outcome.error;
    say(`ack ${names[i]} ${outcome.change?.origin} ${outcome.change?.version}`);
  });
}

function receive(store: SqliteStore, other: SqliteStore, name: string, rng: Rng): void {
  const names = [name, `${name}b`];
  const writes = names.map((it) => groupWrite(it, rng));
  const changes = other.commit(writes, CRASH_WALL_MS).flatMap((it) => (it.ok && it.change ? [it.change] : []));
  store.apply(rng.chance(0.5) ? changes.toReversed() : changes);
  changes.forEach(({ origin, version }, i) => say(`got ${names[i]} ${origin} ${version}`));
  if (!rng.chance(0.3)) return;
  store.makeDurable();
  say("kept");
}

const [path = "", seed = "", steps = "Infinity"] = process.argv.slice(2);
const draws = new Rng(Number(seed));
const [mine, theirs] = [openCrashStore(path, 1), openCrashStore(`${path}-other`, 2)];
pull(theirs, mine);
say(`open ${heldText(mine)}`);
for (let step = 0; step < Number(steps); step++) {
  if (draws.chance(0.3)) receive(mine, theirs, `${seed}-${step}`, draws);
  else writeLocally(mine, `${seed}-${step}`, draws);
}
mine.close();
theirs.close();
