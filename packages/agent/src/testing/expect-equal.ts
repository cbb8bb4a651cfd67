/** What it means that members agree: equal digests and equal holdings. */
import { heldVersions } from "@patina/base";
import { expect } from "vitest";
import type { ModelStore } from "./model-store.js";

function heldText(store: ModelStore): string[] {
  return [...store.holdings()].map(([origin, holding]) => `${origin} ${heldVersions(holding).toString()}`).sort();
}

export function expectEqual(...stores: ModelStore[]): void {
  for (const store of stores) {
    expect(store.digest()).toBe(stores[0]?.digest());
    expect(heldText(store)).toEqual(stores.slice(0, 1).flatMap(heldText));
  }
}
