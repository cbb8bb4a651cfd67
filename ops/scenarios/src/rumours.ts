/** What is told of a node by others: stale, out of order, absurd, or each of the other. */
import { Crowd } from "@patina/sim";
import { recordOf, tell } from "./liar.js";
import { expectThat, type Scenario } from "./scenario.js";

const stateAt = (crowd: Crowd, observer: number, of: number): string | undefined =>
  crowd.node(observer).members().find(({ nodeId }) => nodeId === recordOf(of, 1, 0, "alive").nodeId)?.state; // prettier-ignore

export const noResurrection: Scenario = {
  id: "F2",
  title: "one that was away tells that the dead are alive, and nobody believes it",
  play(seed) {
    const crowd = new Crowd({ size: 10, seed });
    crowd.run(5000);
    crowd.isolate(9);
    crowd.crash(3);
    crowd.run(60_000);
    crowd.seen.length = 0;
    crowd.partition([]);
    for (let i = 0; i < 5; i++) {
      for (const observer of [0, 4, 8]) tell(crowd, observer, recordOf(9, 1, 50, "alive"), recordOf(3, 1, 40, "alive"));
      crowd.run(5000);
    }
    const risen = crowd.seen.filter(({ of, member }) => of === 3 && member.state === "alive");
    return expectThat(risen.length === 0, `node ${risen[0]?.by ?? ""} took the dead for alive`);
  },
};

export const evidenceCounts: Scenario = {
  id: "F3",
  title: "a death with a higher incarnation is not forgotten for an older word of its own",
  play(seed) {
    const crowd = new Crowd({ size: 5, seed });
    crowd.run(3000);
    crowd.crash(4);
    crowd.run(30_000);
    tell(crowd, 0, recordOf(1, 1, 9, "alive"), recordOf(4, 1, 10, "dead"));
    tell(crowd, 0, recordOf(4, 1, 2, "alive"));
    const stale = stateAt(crowd, 0, 4);
    tell(crowd, 0, recordOf(4, 1, 11, "alive"));
    return [
      ...expectThat(stale === "dead", `an older word raised it: ${stale}`),
      ...expectThat(stateAt(crowd, 0, 4) === "alive", "its own newer word did not"),
    ];
  },
};

export const absurdIncarnation: Scenario = {
  id: "F4",
  title: "an absurd incarnation does not make a node that is well unable to refute",
  play(seed) {
    const crowd = new Crowd({ size: 6, seed });
    crowd.run(5000);
    for (const incarnation of [2 ** 32 - 1, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER]) {
      for (const observer of [0, 1, 2])
        tell(crowd, observer, recordOf(4, 1, 0, "alive"), recordOf(3, 1, incarnation, "dead"));
      crowd.run(40_000);
    }
    const states = [0, 1, 2, 4, 5].map((observer) => stateAt(crowd, observer, 3));
    return expectThat(
      states.every((state) => state === "alive"),
      `it is ${states.join(", ")}`,
    );
  },
};

export const mutualDeath: Scenario = {
  id: "F5",
  title: "two that take each other for dead make peace, and no flood",
  play(seed) {
    const crowd = new Crowd({ size: 2, seed });
    crowd.run(3000);
    crowd.isolate(1);
    crowd.run(60_000);
    crowd.partition([]);
    crowd.sent.fill(0);
    const healedMs = crowd.nowMs;
    const isPeace = crowd.runUntil(() => crowd.isOne, 30_000);
    crowd.run(1000);
    const perSecond = (1000 * Math.max(...crowd.sent)) / (crowd.nowMs - healedMs);
    return [
      ...expectThat(isPeace, "they still do not see each other after 30 s"),
      ...expectThat(perSecond < 30, `one of them sent ${Math.round(perSecond)} datagrams a second`),
    ];
  },
};
