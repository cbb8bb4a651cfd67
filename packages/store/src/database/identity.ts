/** Whose file it is: of which cluster and generation, which node, and under which id its versions are issued. */
import { existsSync } from "node:fs";
import { AppError, type ClusterId, type DbId, type NodeId } from "@patina/base";
import Database from "better-sqlite3";
import { FORMAT, readMeta, writeMeta } from "./layout.js";

/** Makes a fresh file this cluster's, and refuses another's. The generation that holds: a restored file brings its own. */
export function checkCluster(db: Database.Database, cluster: ClusterId, path: string): number {
  const name = readMeta(db, "cluster");
  if (name === undefined) {
    db.transaction(() => {
      writeMeta(db, "format", String(FORMAT));
      writeMeta(db, "cluster", cluster.name);
      writeMeta(db, "generation", String(cluster.generation));
    })();
    return cluster.generation;
  }
  const format = Number(readMeta(db, "format"));
  if (format !== FORMAT) {
    db.close();
    throw new AppError("data-dir-foreign", `${path} is of format ${format}, and this release reads ${FORMAT}`, {
      hint: "Run the release that wrote it, or let the node begin anew in an empty directory.",
    });
  }
  if (name !== cluster.name) {
    db.close();
    throw new AppError("data-dir-foreign", `${path} belongs to cluster ${name}, not ${cluster.name}`, {
      hint: "Point this agent at its own data directory, or move the other one away.",
    });
  }
  return Number(readMeta(db, "generation"));
}

/** The database's id: its own, unless it is fresh, restored, or was another node's. */
export function adoptDbId(db: Database.Database, node: NodeId, newDbId: () => DbId): DbId {
  const known = readMeta(db, "db");
  if (known !== undefined && readMeta(db, "node") === node) return known;
  const fresh = newDbId();
  writeMeta(db, "node", node);
  writeMeta(db, "db", fresh);
  return fresh;
}

/** The generation of the database at `path`; undefined where there is none, or one that was never opened. */
export function generationIn(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const hasMeta = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_patina_meta'").get() !== undefined;
    const generation = hasMeta ? readMeta(db, "generation") : undefined;
    return generation === undefined ? undefined : Number(generation);
  } finally {
    db.close();
  }
}
