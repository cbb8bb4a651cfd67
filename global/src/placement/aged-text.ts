/** The JSON of a placement, cut where its regions' ages are: they are all that differs while an answer stands. */
import { assert } from "@patina/base";
import type { Placement } from "@patina/router";

export class AgedText {
  readonly #pieces: readonly string[];
  /** Of the text but for the ages, in UTF-8. */
  readonly bytes: number;

  constructor(placement: Placement) {
    const { app, result, complete, regions } = placement;
    const text = JSON.stringify(placement);
    const pieces: string[] = [];
    let head = `${opening({ app, result, complete })},"regions":[`;
    let from = 0; // Of the piece that comes next.
    let at = 0; // Of the region that comes next.
    for (const placed of regions) {
      at += head.length;
      const ageAt = at + `${opening({ region: placed.region, class: placed.class })},"ageMs":`.length;
      const age = String(placed.ageMs);
      assert(text.startsWith(age, ageAt), "the age of a region is found in the text of its placement");
      pieces.push(text.slice(from, ageAt));
      from = ageAt + age.length;
      at += JSON.stringify(placed).length;
      head = ",";
    }
    this.#pieces = [...pieces, text.slice(from)];
    this.bytes = Buffer.byteLength(this.#pieces.join(""));
  }

  /** As `JSON.stringify` writes it, and how long that is in UTF-8. One age a region, in the order of the placement. */
  at(ages: readonly number[]): { json: string; bytes: number } {
    assert(ages.length === this.#pieces.length - 1, "one age a region");
    let json = this.#pieces[0] ?? "";
    let bytes = this.bytes;
    for (let i = 0; i < ages.length; i++) {
      const age = String(ages[i]);
      json += age + (this.#pieces[i + 1] ?? "");
      bytes += age.length;
    }
    return { json, bytes };
  }
}

/** An object's text without its end. */
function opening(object: object): string {
  return JSON.stringify(object).slice(0, -1);
}
