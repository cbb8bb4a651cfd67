/** Nodes that come back: all at once, again and again. */
import { Crowd, measureMassRestart } from "@patina/sim";
import { expectThat, type Scenario } from "./scenario.js";

const SIZE = 60;

export const massRestart: Scenario = {
  id: "F1",
  title: "everybody restarts at once, and nobody stays invisible",
  play(seed) {
    const tookMs = measureMassRestart(SIZE, seed, 3000);
    return expectThat(tookMs < 20_000, `${SIZE} restarted nodes did not see each other within 20 s`);
  },
};

export const manyLives: Scenario = {
  id: "F6",
  title: "a node that restarts many times stays one node",
  play(seed) {
    const crowd = new Crowd({ size: 6, seed });
    crowd.run(3000);
    for (let life = 0; life < 40; life++) {
      crowd.crash(5);
      crowd.run(300);
      crowd.start(5);
      crowd.run(500);
    }
    const sizes = crowd.up.map((node) => crowd.node(node).members().length);
    return [
      ...expectThat(
        crowd.runUntil(() => crowd.isOne, 30_000),
        "the others do not see its last life",
      ),
      ...expectThat(Math.max(...sizes) === 5, `rosters of ${sizes.join(", ")} others for five nodes`),
    ];
  },
};
