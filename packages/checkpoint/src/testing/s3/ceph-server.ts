/**
 * A real S3 server for tests: Ceph's object gateway over one monitor and one in-memory store, from Debian's packages
 * (`ops/dev/debian-packages.sh`), on loopback, in a directory that goes with it. It starts in about two seconds.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { createS3Client } from "../../s3/s3-client.js";
import { DEFAULT_S3_LIMITS } from "../../s3/s3-limits.js";
import { parseS3Url } from "../../s3/s3-url.js";

const run = promisify(execFile);

const PROGRAMS = ["ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph"];

const COMMAND_TRIES_MAX = 3;
const COMMAND_TIMEOUT_MS = 20_000;
/** A minute, when nobody listens. */
const ANSWER_TRIES_MAX = 1200;

/** Of the one user there is. Profiles of the shared credentials file name it, and some that are wrong. */
const KEY_ID = "AKTEST";
const SECRET = "SKTEST123";

/** Named in stdout once, where tests are skipped for the lack of it. */
export const hasCeph = PROGRAMS.every((program) => spawnSync("which", [program]).status === 0);
if (!hasCeph) process.stdout.write("ceph is not installed (ops/dev/debian-packages.sh): S3 is not tested here\n");

export interface CephServer {
  readonly endpoint: string;
  /** What the SDK's chain of credentials needs in the environment, for this process and for children. */
  readonly env: Readonly<Record<string, string>>;
  /** The URL of a store in a new bucket, at another endpoint (a proxy's) or as another profile if asked for. */
  newStoreUrl: (options?: { readonly endpoint?: string; readonly profile?: string }) => Promise<string>;
  /** Runs `radosgw-admin` on it. */
  admin: (...args: readonly string[]) => Promise<string>;
  stop: () => Promise<void>;
}

/** Sets this process's credentials to the server's, too. */
export async function startCephServer(): Promise<CephServer> {
  const dir = await mkdtemp(join(tmpdir(), "patina-ceph-"));
  const [port, monitorPort] = await freePorts(2);
  const conf = join(dir, "ceph.conf");
  await Promise.all(["mon", "osd", "rgw", "run", "log"].map((name) => mkdir(join(dir, name))));
  await writeFile(conf, configuration(dir, Number(port), Number(monitorPort)));
  const env = await writeCredentials(dir);
  Object.assign(process.env, env);
  const server = { dir, conf, endpoint: `http://127.0.0.1:${port}` };
  try {
    await startDaemons(server, Number(monitorPort));
    await answering(server.endpoint);
  } catch (error) {
    await stopDaemons(dir);
    throw error;
  }
  let buckets = 0;
  return {
    endpoint: server.endpoint,
    env,
    newStoreUrl: async ({ endpoint = server.endpoint, profile = "default" } = {}) => {
      const bucket = `patina-${process.pid}-${buckets++}`;
      await createBucket(server.endpoint, bucket);
      return `s3://${bucket}/some/prefix?endpoint=${endpoint}&profile=${profile}`;
    },
    admin: async (...args) => (await run("radosgw-admin", ["-c", conf, "-n", "client.rgw", ...args])).stdout,
    stop: () => stopDaemons(dir),
  };
}

interface Server {
  readonly dir: string;
  readonly conf: string;
}

async function startDaemons({ dir, conf }: Server, monitorPort: number): Promise<void> {
  const fsid = await uuid();
  const osd = await uuid();
  await writeFile(conf, (await readFile(conf, "utf8")).replace("FSID", fsid));
  const map = join(dir, "monmap");
  const ceph = (...args: readonly string[]) => insist("ceph", ["-c", conf, "--connect-timeout", "20", ...args]);
  await run("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", `[v1:127.0.0.1:${monitorPort}]`, map]);
  await run("ceph-mon", ["-c", conf, "-i", "a", "--mkfs", "--monmap", map]);
  await run("ceph-mon", ["-c", conf, "-i", "a"]);
  await ceph("osd", "new", osd, "0");
  await run("ceph-osd", ["-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd]);
  await ceph("osd", "crush", "add", "osd.0", "1.0", "root=default", "host=one");
  await run("ceph-osd", ["-c", conf, "-i", "0"]);
  const user = [
    "user",
    "create",
    "--uid=tests",
    "--display-name=tests",
    `--access-key=${KEY_ID}`,
    `--secret=${SECRET}`,
  ];
  await run("radosgw-admin", ["-c", conf, "-n", "client.rgw", ...user]);
  await run("radosgw", ["-c", conf, "-n", "client.rgw"]);
}

/**
 * The daemons fork away, and each leaves its pid in `run/`. They have nothing to save, so they are killed; what is not
 * there any more has ended by itself.
 */
async function stopDaemons(dir: string): Promise<void> {
  for (const name of ["client.rgw", "osd.0", "mon.a"]) {
    const pid = Number(await readFile(join(dir, "run", `${name}.pid`), "utf8").catch(() => "0"));
    if (pid > 1) spawnSync("kill", ["-9", String(pid)]);
  }
  await rm(dir, { recursive: true, force: true, maxRetries: 10 });
}

/** Propose at once, or each step of the start waits a second; one copy of everything; no authentication inside. */
function configuration(dir: string, port: number, monitorPort: number): string {
  return `[global]
fsid = FSID
mon_host = v1:127.0.0.1:${monitorPort}
mon_initial_members = a
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_bind_ipv6 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = ${dir}/run
log_file = ${dir}/log/$name.log
admin_socket = ${dir}/run/$name.asok
pid_file = ${dir}/run/$name.pid
crash_dir = ${dir}/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_osd_full_ratio = 0.99
mon_osd_backfillfull_ratio = 0.985
mon_osd_nearfull_ratio = 0.98
mon_data_avail_crit = 1
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
[mon.a]
mon_data = ${dir}/mon
[osd.0]
osd_data = ${dir}/osd
osd_objectstore = memstore
memstore_device_bytes = 8589934592
osd_class_update_on_start = false
osd_crush_update_on_start = false
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:${port}
rgw_data = ${dir}/rgw
rgw_thread_pool_size = 64
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_run_sync_thread = false
`;
}

async function writeCredentials(dir: string): Promise<Record<string, string>> {
  const profile = (name: string, id: string, secret: string, token = ""): string =>
    `[${name}]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n${token}`;
  const file = join(dir, "credentials");
  const profiles = [profile("default", KEY_ID, SECRET), profile("wrong-key", "AKNOBODY", SECRET)];
  profiles.push(profile("wrong-secret", KEY_ID, "guessed"));
  await writeFile(file, profiles.join(""));
  return {
    AWS_SHARED_CREDENTIALS_FILE: file,
    AWS_CONFIG_FILE: join(dir, "no-config"),
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

async function createBucket(endpoint: string, bucket: string): Promise<void> {
  const client = createS3Client(parseS3Url(`s3://${bucket}?endpoint=${endpoint}`), DEFAULT_S3_LIMITS, () => undefined);
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
}

async function answering(endpoint: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await fetch(endpoint);
      return;
    } catch (error) {
      if (tries > ANSWER_TRIES_MAX) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** On a slow machine a young monitor may fail to answer in its time. What it is told here may be told it twice. */
async function insist(program: string, args: readonly string[]): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await run(program, args, { timeout: COMMAND_TIMEOUT_MS });
      return;
    } catch (error) {
      if (tries === COMMAND_TRIES_MAX) throw error;
    }
  }
}

async function uuid(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/uuid", "utf8")).trim();
}

/** Nobody's a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  return Promise.all(
    servers.map(async (server) => {
      await new Promise((resolve) => server.once("listening", resolve));
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}
