/**
 * Bugs that a cluster could have, in membership, gossip and the agent: what the simulator and the scenarios must see. Those
 * of one member alone are with the tests of its package.
 */
const AGENT = "packages/agent/src";
const GOSSIP = "packages/gossip/src";
const MEMBERSHIP = "packages/membership/src";
const SEEDS = "packages/sim/src/run/few-seeds.test.ts";
const SCENARIOS = "ops/scenarios/src/scenarios.test.ts";

export const PLANTED_IN_CLUSTERS = [
  {
    name: "gossip: the next version in line is dropped when the inbox is full",
    file: `${GOSSIP}/inbox.ts`,
    from: "if (!isNext && this.#isFullFor(",
    to: "if (this.#isFullFor(",
    test: `${GOSSIP}/inbox.test.ts`,
  },
  {
    name: "gossip: a change stamped in the future is applied at once",
    file: `${GOSSIP}/parked.ts`,
    from: "change.hlc > latest",
    to: "change.hlc > latest + (1n << 60n)",
    test: SEEDS,
  },
  {
    name: "gossip: a version is applied before those before it",
    file: `${GOSSIP}/parked.ts`,
    from: "let version = next;",
    to: "let version = this.versions.spans[0]?.[0] ?? next;",
    test: SEEDS,
  },
  {
    name: "gossip: nothing is needed of an origin that was never heard of",
    file: `${GOSSIP}/need.ts`,
    from: "const missing = heldVersions(holding).subtract(heldVersions(mine.get(origin) ?? NO_HOLDING));\n    const versions",
    to: "const missing = heldVersions(holding).subtract(heldVersions(mine.get(origin) ?? holding));\n    const versions",
    test: SEEDS,
  },
  {
    name: "gossip: one answer is taken for an answer to every request",
    file: `${GOSSIP}/anti-entropy.ts`,
    from: "this.#forgetAsked(peer, Math.min(...requests));",
    to: "this.#forgetAsked(peer, Math.max(...requests));",
    test: `${GOSSIP}/decide.test.ts`,
  },
  {
    name: "agent: anti-entropy begins one round and no more",
    file: `${AGENT}/reconciliation.ts`,
    from: "return [this.wakeForRound(), ...pieces,",
    to: "return [...pieces,",
    test: SEEDS,
  },
  {
    name: "agent: a peer is not told which versions have nothing left to say",
    file: `${AGENT}/reconciliation.ts`,
    from: "if (empties.length > 0) effects.push(",
    to: "if (empties.length < 0) effects.push(",
    test: SEEDS,
  },
  {
    name: "agent: what a repair depends on is forgotten",
    file: `${AGENT}/replica.ts`,
    from: "        this.#reconciliation.owe(frame.basis);\n",
    to: "",
    test: SEEDS,
  },
  {
    name: "agent: an old copy of a disk goes on as if nothing had happened",
    file: `${AGENT}/reconciliation.ts`,
    from: "if ((theirs.get(own)?.head ?? 0) > (mine.get(own)?.head ?? 0)) {",
    to: "if (theirs.size < 0) {",
    test: SEEDS,
  },
  {
    name: "agent: a member that was given up is asked for what will not be taken",
    file: `${AGENT}/reconciliation.ts`,
    from: "if (origin === this.#store.origin || this.#collection.isRefused(from, origin)) continue;",
    to: "if (origin === this.#store.origin) continue;",
    test: `${AGENT}/refuse.test.ts`,
  },
  {
    name: "agent: each side of a parted cluster gives up the other",
    file: `${AGENT}/collection.ts`,
    from: "if (up.some((node) => node < self) || !this.#areMost(up, self)) return [];",
    to: "if (up.some((node) => node < self)) return [];",
    test: SEEDS,
  },
  {
    name: "agent: changes that waited for the clock are looked at once only",
    file: `${AGENT}/early-changes.ts`,
    from: "  onDue(): void {\n    this.#isDueScheduled = false;",
    to: "  onDue(): void {",
    test: SEEDS,
  },
  {
    name: "agent: a member whose stream broke is not dialed again",
    file: `${AGENT}/links.ts`,
    from: "if (this.#dialed.get(node) === id) this.#dialed.delete(node);",
    to: "",
    test: SEEDS,
  },
  {
    name: "agent: another protocol's greeting is accepted",
    file: `${AGENT}/links.ts`,
    from: "if (hello.protocol !== PROTOCOL_VERSION) return",
    to: "if (hello.protocol < PROTOCOL_VERSION) return",
    test: SEEDS,
  },
  {
    name: "agent: another generation's greeting is accepted",
    file: `${AGENT}/links.ts`,
    from: "if (!sameCluster(hello.cluster, this.#cluster)) {",
    to: "if (hello.cluster.name !== this.#cluster.name) {",
    test: SEEDS,
  },
  {
    name: "agent: a frame is read before any greeting",
    file: `${AGENT}/agent.ts`,
    from: "const from = this.#links.nodeOf(stream);",
    to: 'const from = this.#links.nodeOf(stream) ?? "ff".repeat(16);',
    test: SEEDS,
  },
  {
    name: "membership: the boot number does not count",
    file: `${MEMBERSHIP}/member.ts`,
    from: "if (a.boot !== b.boot) return a.boot - b.boot;",
    to: "",
    test: SEEDS,
  },
  {
    name: "membership: a third party raises the dead",
    file: `${MEMBERSHIP}/roster.ts`,
    from: 'if (!firstHand && sameBoot && isGone(known.member) && !isGone(member)) return { kind: "unverified" };',
    to: "",
    test: SCENARIOS,
  },
  {
    name: "membership: an absurd incarnation is believed",
    file: `${MEMBERSHIP}/roster.ts`,
    from: "return member.incarnation - base <= this.#config.incarnationJumpMax;",
    to: "return member.incarnation - base < Infinity;",
    test: SCENARIOS,
  },
  {
    name: "membership: a refutation does not outbid the accusation",
    file: `${MEMBERSHIP}/roster.ts`,
    from: "this.#setSelf({ ...this.#self, incarnation: incarnation + 1 });",
    to: "this.#setSelf({ ...this.#self, incarnation });",
    test: SEEDS,
  },
  {
    name: "membership: the isolated accuse as they like",
    file: `${MEMBERSHIP}/health.ts`,
    from: "return failures > this.#config.isolationWindow * this.#config.isolationFraction;",
    to: "return failures > this.#config.isolationWindow;",
    test: SCENARIOS,
  },
  {
    name: "membership: a late timer's silence counts as silence",
    file: `${MEMBERSHIP}/membership.ts`,
    from: "    this.#probe.void();\n",
    to: "",
    test: SCENARIOS,
  },
  {
    name: "membership: the dead are never called",
    file: `${MEMBERSHIP}/membership.ts`,
    from: '    this.#outbox.arm("reconnect", this.#config.reconnectIntervalMs, now);\n    this.#outbox.arm("reap"',
    to: '    this.#outbox.arm("reap"',
    test: `${MEMBERSHIP}/network.test.ts`,
  },
  {
    name: "membership: the dead are buried on hearsay",
    file: `${MEMBERSHIP}/judge.ts`,
    from: 'if (member.state === "dead" && this.#hearDeath(member, teller, now)) return true;',
    to: "",
    test: `${MEMBERSHIP}/membership.test.ts`,
  },
  {
    name: "membership: a suspicion that ran out is forgotten",
    file: `${MEMBERSHIP}/judge.ts`,
    from: 'if (verdict.kind === "wait") this.#arm(node, verdict.atMs, now);',
    to: "",
    test: SCENARIOS,
  },
];
