/** What an agent process is told: one schema for both tiers, with the default and the reason of each key. */
import { RETENTION_POLICIES, type RetentionName } from "@patina/checkpoint";
import { isAddress } from "@patina/membership";
import { validate } from "node-cron";
import { z } from "zod";

const address = z.string().regex(/^(\[[^\]]+\]|[^:]+):\d{1,5}$/, "must be host:port");
/** Every address of the machine, and so none that another could reach. */
const WILDCARD = /^(0\.0\.0\.0|\[::\]|\*):/;
/** What others dial. */
const reachable = address.refine(isAddress, {
  error:
    "must be host:port as others can reach it: a name, an IPv4 address or an IPv6 address in brackets, and a port from 1 to 65535",
});
const TO_ADVERTISE =
  "must be set: the listening address is every address of this machine, and none that others could use";
const url = z.url({ protocol: /^https?$/, error: "must be an http:// or https:// URL" });

const file = z.string().min(1);

const openGossip = z.strictObject({
  /** UDP and TCP on the same port. */
  address,
  /** Where the others reach it: the listening address, which must not be a wildcard then. */
  advertise: reachable.optional(),
  seeds: z.array(reachable).default([]),
  /** This node's certificate and key, and the authorities of its cluster, as PEM. Read again when they change. */
  tls: z.strictObject({ ca: file, cert: file, key: file }).optional(),
  /** The keys that seal datagrams, the same on every member. Read again when it changes. */
  keyring: file.optional(),
  /** Plaintext between members, and no proof of who they are: only in place of the two above. */
  insecure: z.boolean().default(false),
  /** Plaintext beyond loopback: only where something else protects the network. */
  insecure_force: z.boolean().default(false),
});

const gossip = openGossip.superRefine(({ address: listening, advertise, tls, keyring, insecure }, context) => {
  const complain = (key: string, message: string): void => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  const isTold = advertise === undefined && !WILDCARD.test(listening);
  if (isTold && !isAddress(listening)) complain("advertise", `must be set: others cannot reach ${listening}`);
  if (advertise === undefined && WILDCARD.test(listening)) complain("advertise", TO_ADVERTISE);
  if (tls !== undefined && keyring === undefined) complain("keyring", "streams are secured and datagrams are not");
  if (tls === undefined && keyring !== undefined) complain("tls", "datagrams are secured and streams are not");
  if (insecure && (tls ?? keyring) !== undefined) complain("insecure", "members are secured and plaintext at once");
});

const openApi = z.strictObject({
  address,
  /** Where the others reach it: `http://` and the listening address, which must not be a wildcard then. */
  advertise: url.optional(),
});

const api = openApi.refine(
  ({ address: listening, advertise }) => advertise !== undefined || !WILDCARD.test(listening),
  {
    path: ["advertise"],
    error: TO_ADVERTISE,
  },
);

const checkpoint = z.strictObject({
  /** `file:///directory` or `s3://bucket/prefix?…`. */
  store: z.string(),
  /** Of a signed or encrypted store: made by `patina checkpoint keygen`, the same on every agent. */
  key_file: file.optional(),
  /** When an agent looks whether a checkpoint is due, as cron has it with seconds first; `off` never to take one unasked. */
  schedule: z
    .string()
    .refine((text) => text === "off" || validate(text), "must be a cron expression, or `off`")
    .default("* * * * * *"),
  /** Which checkpoints are deleted again; `none` keeps all. Only where agents may delete. */
  retention: z.enum(["none", ...Object.keys(RETENTION_POLICIES)] as ["none", ...RetentionName[]]).default("none"),
  /** Whether a node without data begins from the newest checkpoint, and not from an empty database. */
  bootstrap: z.boolean().default(true),
});

/** Milliseconds, up to a day. */
const milliseconds = z.number().int().positive().max(86_400_000);

export const agentConfigSchema = z.strictObject({
  /** The data directory. It is replaced by rename on a restore, so it must not be a mount point. */
  node_dir: z.string().min(1),
  /** Which worker this agent writes for, as owner columns name it; the node's id when left out. */
  worker: z.string().min(1).max(255).optional(),
  cluster: z.strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "must be lower-case letters, digits and dashes"),
  }),
  gossip,
  api,
  /** The cluster's tables; the tier's own schema when left out. */
  schema: z.strictObject({ paths: z.array(z.string()).min(1) }).optional(),
  checkpoint: checkpoint.optional(),
  query: z
    .strictObject({ deadline_ms: milliseconds.default(10_000), readers: z.number().int().min(1).max(64).default(2) })
    .prefault({}),
  /** A main thread that stands still for so long is recorded, and the process ended for its supervisor to start again. */
  watchdog: z.strictObject({ abort_after_ms: milliseconds.min(1000).default(60_000) }).prefault({}),
  log: z
    .strictObject({ level: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info") })
    .prefault({}),
});

export type AgentProcessConfig = z.infer<typeof agentConfigSchema>;
