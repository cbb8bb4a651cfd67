/** Bugs that checkpoints could have, like those of the store beside this file. */
const CHECKPOINT = "packages/checkpoint/src";
const STORE = "packages/store/src";
const RETENTION = `${CHECKPOINT}/retention/retention.test.ts`;
const COLLECTION = `${CHECKPOINT}/collection/collection.test.ts`;
const SCHEDULE = `${CHECKPOINT}/schedule/schedule.test.ts`;
const RESTORE = `${CHECKPOINT}/restoring/restore.test.ts`;
const SEALING = `${CHECKPOINT}/sealing/sealing.test.ts`;
const TAKING = `${CHECKPOINT}/checkpoint.test.ts`;
const STARTING = "packages/process/src/checkpoints/starting.test.ts";
const FENCE = `${STORE}/log/closed-origins.test.ts`;
const DELTA = `${STORE}/proof/delta.test.ts`;

export const PLANTED_CHECKPOINTS = [
  {
    name: "a delta is taken since a state that is ahead",
    file: `${STORE}/database/delta.ts`,
    from: '.subtract(heldVersions(origins.holding(origin))).isEmpty) return "behind";',
    to: ".subtract(heldVersions(origins.holding(origin))).isEmpty) return undefined;",
    test: DELTA,
  },
  {
    name: "a delta forgets the versions of which nothing is left",
    file: `${STORE}/database/delta.ts`,
    from: "empty.isEmpty ? undefined : { origin, versions: empty }",
    to: "undefined",
    test: DELTA,
  },
  {
    name: "the fence lets an old origin's later versions in",
    file: `${STORE}/log/closed-origins.ts`,
    from: "return version > head ?",
    to: "return version > head * 1000 ?",
    test: FENCE,
  },
  {
    name: "a version read back is stamped by its rows alone",
    file: `${STORE}/log/closed-origins.ts`,
    from: "return this.#heads.has(index) || this.floor === 0n || high > this.floor ? high : this.floor + 1n;",
    to: "return index < 0 ? this.floor : high;",
    test: FENCE,
  },
  {
    name: "a schema that cannot be had ends the store",
    file: `${STORE}/schema/adoption.ts`,
    from: "if (otherwise === undefined || isFatal(thrown)) throw thrown;",
    to: "if (otherwise === undefined || thrown !== undefined) throw thrown;",
    test: `${STORE}/schema/adoption.test.ts`,
  },
  {
    name: "a schema is applied without a trial",
    file: `${STORE}/schema/schemas.ts`,
    from: "if (next !== undefined) this.#tryOut(parseSchema(next.sql));",
    to: "if (next === undefined) this.#tryOut(parseSchema(sql));",
    test: `${STORE}/schema/adoption.test.ts`,
  },
  {
    name: "the fence has no floor",
    file: `${STORE}/log/closed-origins.ts`,
    from: "return hlc > this.floor ? undefined",
    to: "return hlc > 0n ? undefined",
    test: FENCE,
  },
  {
    name: "a claim never grows old",
    file: `${CHECKPOINT}/schedule/claim.ts`,
    from: "if ((await objects.now()) - found.modifiedAtMs <= claim.ttlMs) return false;",
    to: "if (found.bytes > 0) return false;",
    test: SCHEDULE,
  },
  {
    name: "retention grows old while nothing can be taken",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: "const asOfMs = Math.max(0, ...newestFirst.map((it) => it.takenAtMs).filter((at) => at <= facts.nowMs));",
    to: "const asOfMs = facts.nowMs;",
    test: RETENTION,
  },
  {
    name: "retention counts bases that nobody restored",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: "const verified = bases.filter(({ id }) => verifiedIds.has(id));",
    to: "const verified = bases.filter(({ id }) => verifiedIds.has(id) || id !== '');",
    test: RETENTION,
  },
  {
    name: "retention orders by time and not by generation",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: "return a.generation - b.generation || a.takenAtMs",
    to: "return a.takenAtMs",
    test: RETENTION,
  },
  {
    name: "retention breaks a chain",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: 'whyById.set(parent, "a kept one is applied after it");',
    to: "if (id === '') break;",
    test: RETENTION,
  },
  {
    name: "two verified bases are enough",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: "if (verified.length >= policy.verifiedMin) return;",
    to: "if (verified.length >= policy.verifiedMin - 1) return;",
    test: RETENTION,
  },
  {
    name: "a vanished directory is no objection",
    file: `${CHECKPOINT}/retention/objections.ts`,
    from: ".filter((id) => !present.has(id) && isOfItsTime(id, asOfMs, policy))",
    to: ".filter((id) => present.has(id) && !isOfItsTime(id, asOfMs, policy))",
    test: RETENTION,
  },
  {
    name: "a taker counts on what is being collected",
    file: `${CHECKPOINT}/taking/upload.ts`,
    from: "if (condemned.has(key)) continue;",
    to: "if (condemned.has('')) continue;",
    test: COLLECTION,
  },
  {
    name: "a taker counts on what was found damaged",
    file: `${CHECKPOINT}/collection/condemn.ts`,
    from: "...damaged.map(({ key }) => chunkOfDamagedKey(cluster, key)),",
    to: "",
    test: TAKING,
  },
  {
    name: "a checkpoint comes back from its own objects alone",
    file: `${CHECKPOINT}/taking/chunk-object.ts`,
    from: "if (plain !== undefined) return { plain, finding: own };",
    to: "if (plain === undefined) return { finding: own };",
    test: TAKING,
  },
  {
    name: "all bases go at once",
    file: `${CHECKPOINT}/retention/pace.ts`,
    from: "fresh.slice(0, Math.max(0, fresh.length - most))",
    to: "fresh.slice(0, 0)",
    test: COLLECTION,
  },
  {
    name: "one checkpoint dated ahead ends all others",
    file: `${CHECKPOINT}/schedule/due.ts`,
    from: "!isAhead(atMs, nowMs)",
    to: "!isAhead(atMs, Infinity)",
    test: SCHEDULE,
  },
  {
    name: "a straggler begins from a checkpoint of any age",
    file: "packages/process/src/checkpoints/starting.ts",
    from: "if (own.length > 0 && !isYoung(opened.atMs)) return undefined;",
    to: "",
    test: STARTING,
  },
  {
    name: "what a straggler had beyond the rollback is not written out",
    file: "packages/process/src/checkpoints/starting.ts",
    from: "await beginFrom({ ...start, objects, ...beginning, fence });",
    to: "await beginFrom({ ...start, objects, ...beginning });",
    test: STARTING,
  },
  {
    name: "an upload may take as long as it likes",
    file: `${CHECKPOINT}/taking/take.ts`,
    from: "if (tookMs >= 0 && tookMs < UPLOAD_MS_MAX) return;",
    to: "if (tookMs >= 0) return;",
    test: COLLECTION,
  },
  {
    name: "a sweep believes the mark",
    file: `${CHECKPOINT}/collection/sweep.ts`,
    from: ".filter(({ key }) => !needed.has(key));",
    to: ".filter(({ key }) => key !== '' || !needed.has(key));",
    test: COLLECTION,
  },
  {
    name: "what was put anew under a marked name is never marked again",
    file: `${CHECKPOINT}/collection/mark.ts`,
    from: "waiting.some((list) => list.objects.has(key) && modifiedAtMs <= list.markedAtMs);",
    to: "waiting.some((list) => list.objects.has(key) && modifiedAtMs > 0);",
    test: COLLECTION,
  },
  {
    name: "a sweep that was frozen goes on",
    file: `${CHECKPOINT}/collection/sweep.ts`,
    from: "(await objects.now()) - beganMs > SWEEP_MS_MAX",
    to: "(await objects.now()) - beganMs > SWEEP_MS_MAX * 1000",
    test: COLLECTION,
  },
  {
    name: "a pin is not looked at",
    file: `${CHECKPOINT}/retention/retention.ts`,
    from: "for (const [id, why] of facts.pinned) keep(id, why);",
    to: "",
    test: COLLECTION,
  },
  {
    name: "a signature holds under any name",
    file: `${CHECKPOINT}/sealing/seals.ts`,
    from: ".update(name).update(Buffer.alloc(1))",
    to: ".update(Buffer.alloc(1))",
    test: SEALING,
  },
  {
    name: "sealed bytes are believed whatever their tag",
    file: `${CHECKPOINT}/sealing/seals.ts`,
    from: "return false; // The caller says of which object",
    to: "return true; // The caller says of which object",
    test: SEALING,
  },
  {
    name: "a store opens with another ring's names",
    file: `${CHECKPOINT}/sealing/store-key.ts`,
    from: "names: sha256Hex(ring.names)",
    to: 'names: ""',
    test: SEALING,
  },
  {
    name: "an encrypted store names content by its hash",
    file: `${CHECKPOINT}/sealing/sealed-object-store.ts`,
    from: 'if (mode === "signed") return this.#inner.contentName(sha256);',
    to: "if (mode !== undefined) return this.#inner.contentName(sha256);",
    test: SEALING,
  },
  {
    name: "a restore goes on with an image that is altered already",
    file: `${CHECKPOINT}/restoring/restore.ts`,
    from: 'await writeFile(join(building, ALTERED), "");',
    to: "",
    test: RESTORE,
  },
  {
    name: "a manifest is believed without its hash",
    file: `${CHECKPOINT}/manifest/manifest.ts`,
    from: "if (computed !== id) throw",
    to: "if (computed === '') throw",
    test: TAKING,
  },
];
