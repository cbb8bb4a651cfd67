/** Which rumour rides next, and how often. */
import { describe, expect, test } from "vitest";
import { defaultMembershipConfig, testMembershipConfig } from "./config.js";
import { Dissemination } from "./dissemination.js";

function told(rumours: Dissemination, clusterSize: number, room: number): string[] {
  const nodes: string[] = [];
  rumours.fill(clusterSize, (node) => {
    if (nodes.length === room) return false;
    nodes.push(node);
    return true;
  });
  return nodes;
}

describe("rumours", () => {
  test("take turns, the least told first and the newest of those", () => {
    const rumours = new Dissemination(defaultMembershipConfig);
    for (const node of ["a", "b", "c"]) rumours.add(node);
    expect(told(rumours, 100, 2)).toEqual(["c", "b"]);
    expect(told(rumours, 100, 2)).toEqual(["a", "c"]);
  });

  test("are told four times per decade of the cluster", () => {
    const rumours = new Dissemination(defaultMembershipConfig);
    rumours.add("a");
    const times = [5, 99, 100].map((clusterSize) => {
      rumours.add("a");
      let count = 0;
      while (told(rumours, clusterSize, 1).length > 0) count++;
      return count;
    });
    expect(times).toEqual([4, 8, 12]);
  });

  test("about one node replace each other and begin anew", () => {
    const rumours = new Dissemination(defaultMembershipConfig);
    rumours.add("a");
    told(rumours, 5, 1);
    rumours.add("a", "accuser");
    expect(rumours.size).toBe(1);
    let accuser: string | undefined;
    rumours.fill(5, (_, by) => {
      accuser = by;
      return true;
    });
    expect(accuser).toBe("accuser");
  });

  test("beyond the limit push out the most told", () => {
    const rumours = new Dissemination(testMembershipConfig);
    rumours.add("old");
    told(rumours, 5, 1);
    for (let i = 0; i < testMembershipConfig.rumoursMax; i++) rumours.add(`n${i}`);
    expect(rumours.size).toBe(testMembershipConfig.rumoursMax);
    expect(told(rumours, 5, 100)).not.toContain("old");
  });
});
