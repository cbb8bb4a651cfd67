/** What the throughput of writes is measured on: one store is filled and the others are copies, and so with bare SQLite. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { AgentStore, BareDatabase, type Durability, loadStore, openStore, WalCutter } from "../../databases.js";
import type { Machines } from "../../machines.js";

export type Databases = Awaited<ReturnType<typeof openDatabases>>;

/** Copies of a store's file become nodes of their own by opening them. */
export async function openDatabases(dir: string, machines: Machines) {
  const fileOf = (name: string): string => join(dir, `${name}.db`);
  const filled = openStore(fileOf("source"));
  loadStore(filled, machines);
  filled.close();
  for (const name of ["objects", "statements", "remote"]) copyFileSync(fileOf("source"), fileOf(name));
  const bare = new BareDatabase(fileOf("bare-full"), "FULL");
  bare.load(machines);
  await bare.close();
  for (const name of ["bare-normal", "thread-full", "thread-normal"]) copyFileSync(fileOf("bare-full"), fileOf(name));

  const closing: { close(): Promise<void> | void }[] = [];
  const opened = <T extends { close(): Promise<void> | void }>(it: T): T => {
    closing.push(it);
    return it;
  };
  const cutterOf = (name: string): WalCutter => opened(new WalCutter(fileOf(name)));
  const storeOf = (name: string) => {
    const agent = opened(new AgentStore(fileOf(name)));
    return { agent, store: agent.store, wal: cutterOf(name) };
  };
  const bareOf = (name: string, synchronous: Durability, cutBy: "commits" | "thread") => {
    return { db: opened(new BareDatabase(fileOf(name), synchronous, cutBy)), wal: cutterOf(name) };
  };
  return {
    source: storeOf("source"),
    objects: storeOf("objects"),
    statements: storeOf("statements"),
    remote: storeOf("remote"),
    bareFull: bareOf("bare-full", "FULL", "commits"),
    bareNormal: bareOf("bare-normal", "NORMAL", "commits"),
    threadFull: bareOf("thread-full", "FULL", "thread"),
    threadNormal: bareOf("thread-normal", "NORMAL", "thread"),
    close: async (): Promise<void> => {
      for (const each of closing.reverse()) await each.close();
    },
  };
}
