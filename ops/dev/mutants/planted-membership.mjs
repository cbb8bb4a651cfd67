/** Bugs that membership could have: whom a node takes for present, suspect or dead, and by what it goes. */
const MEMBERSHIP = "packages/membership/src";
const SEEDS = "packages/sim/src/run/few-seeds.test.ts";
const SCENARIOS = "ops/scenarios/src/scenarios.test.ts";

export const PLANTED_MEMBERSHIP = [
  {
    name: "membership: what the dead once sent to others, played back, is a sign of life",
    file: `${MEMBERSHIP}/membership.ts`,
    from: "if (messages.some((each) => this.#isForUs(each, sender))) this.#noteLife",
    to: "this.#noteLife",
    test: `${MEMBERSHIP}/network.test.ts`,
  },
  {
    name: "membership: a start that is numbered below one that is gone goes on, unheard",
    file: `${MEMBERSHIP}/judge.ts`,
    from: "if (isGone(member)) this.#outbox.outlived(member.boot);",
    to: "",
    test: `${MEMBERSHIP}/membership.test.ts`,
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
  {
    name: "membership: a port that refuses says nothing of its member",
    file: `${MEMBERSHIP}/membership.ts`,
    from: "if (known !== undefined) this.#judge.accuse(known.member, now);",
    to: "",
    test: "packages/sim/src/crowd/detection.test.ts",
  },
];
