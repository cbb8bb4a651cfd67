/** Nodes that lost the others, or hear only half of what is said. */
import { defaultMembershipConfig } from "@patina/membership";
import { Crowd } from "@patina/sim";
import { expectThat, type Scenario } from "./scenario.js";

export const lostEverybody: Scenario = {
  id: "F7",
  title: "a node that has lost everybody, its seeds among them, finds the others again",
  play(seed) {
    const crowd = new Crowd({ size: 8, seed });
    crowd.run(5000);
    crowd.isolate(6);
    crowd.run(10 * 60_000);
    const left = crowd.node(6).aliveMembers().length;
    crowd.crash(0);
    crowd.crash(1);
    crowd.partition([]);
    return [
      ...expectThat(left === 0, `it still sees ${left} others after ten minutes alone`),
      ...expectThat(
        crowd.runUntil(() => crowd.isOne, 120_000),
        "they are not one after two minutes",
      ),
    ];
  },
};

export const halfDetached: Scenario = {
  id: "F8",
  title: "a node that hears nobody does not talk the others to death",
  play(seed) {
    const crowd = new Crowd({ size: 30, seed });
    crowd.run(10_000);
    crowd.seen.length = 0;
    crowd.isolate(7, true);
    crowd.run(120_000);
    const accused = crowd.seen.filter(
      ({ by, of, member }) => by === 7 && of !== 7 && member.state === "suspect",
    ).length;
    const others = crowd.falseDeaths.filter(({ by, of }) => by !== 7 && of !== 7);
    return [
      ...expectThat(accused <= 12, `it accused ${accused} of 29 others`),
      ...expectThat(
        others.length === 0,
        `node ${others[0]?.by ?? ""} buried node ${others[0]?.of ?? ""} alive on its word`,
      ),
      ...expectThat(
        crowd.node(7).localHealth === defaultMembershipConfig.localHealthMax,
        "it does not take itself for the sick one",
      ),
    ];
  },
};
