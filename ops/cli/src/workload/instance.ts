/** One machine of a workload, and which region it belongs in. */
import { hash32, must, rendezvous } from "@patina/base";

export interface Instance {
  readonly id: string;
  readonly app: string;
  readonly role: string;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly gpus: number;
}

/**
 * Regions of an app by its size: one for fewer than ten machines, two for fewer than a hundred, and so on, so that
 * small apps live in one place and large ones everywhere.
 */
function regionsOfApp(app: string, size: number, regions: readonly string[]): string[] {
  const count = Math.min(regions.length, 1 + Math.floor(Math.log10(Math.max(1, size))));
  return rendezvous(app, regions).slice(0, count);
}

/** A stable choice among the app's regions. */
export function regionOfInstance(instance: Instance, size: number, regions: readonly string[]): string {
  const candidates = regionsOfApp(instance.app, size, regions);
  return must(candidates[hash32(`${instance.app}/${instance.id}`) % candidates.length], "a region");
}

export function insertStatement(
  { id, app, role, cpus, memoryMb, gpus }: Instance,
  worker: string,
  state: string,
): unknown {
  const address = `10.${hash32(id) % 250}.${hash32(id, 1) % 250}.${1 + (hash32(id, 2) % 250)}:8080`;
  const columns = "id, app, worker, state, role, address, cpus, memory_mb, gpus";
  return [
    `INSERT INTO machines (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state`,
    [id, app, worker, state, role, address, cpus, memoryMb, gpus],
  ];
}
