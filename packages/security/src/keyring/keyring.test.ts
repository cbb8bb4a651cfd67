/** The keyring: how it reads, and that no step of a rotation can be taken out of turn. */
import { describe, expect, test } from "vitest";
import { formatKeyring, installKey, newKeyring, parseKeyring, removeOldKeys, useNewestKey } from "./keyring.js";

const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const text = (change: (ring: { primary: unknown; keys: Record<string, unknown>[] }) => void): string => {
  const ring = JSON.parse(formatKeyring(newKeyring(one))) as { primary: unknown; keys: Record<string, unknown>[] };
  change(ring);
  return JSON.stringify(ring);
};

test("a keyring is read as it was written", () => {
  const ring = installKey(newKeyring(one), two);
  expect(parseKeyring(formatKeyring(ring), "it")).toEqual(ring);
});

test.each([
  ["no JSON", "{", "not JSON"],
  ["another document", "[]", "expected object"],
  ["no key", text((ring) => (ring.keys = [])), ">=1"],
  ["a key that is too short", text((ring) => (ring.keys = [{ epoch: 1, key: "AAAA" }])), "32 bytes"],
  ["two keys of one epoch", text((ring) => ring.keys.push({ ...ring.keys[0] })), "one epoch"],
  ["a primary that is not there", text((ring) => (ring.primary = 2)), "primary"],
  ["a key nobody knows", text((ring) => (ring.keys[0] = { ...ring.keys[0], use: true })), "use"],
])("%s is refused with the file and the reason", (_what, content, reason) => {
  expect(() => parseKeyring(content, "/etc/ring")).toThrow(
    expect.objectContaining({ code: "config-invalid", message: expect.stringContaining(reason) }),
  );
  expect(() => parseKeyring(content, "/etc/ring")).toThrow("/etc/ring");
});

describe("an epoch", () => {
  /** As somebody gives up what is installed: its key is deleted from the file. */
  const givenUp = (written: string) => {
    const document = JSON.parse(written) as { primary: number; keys: { epoch: number }[] };
    const keys = document.keys.filter(({ epoch }) => epoch === document.primary);
    return parseKeyring(JSON.stringify({ ...document, keys }), "it");
  };

  test("that was given up never stands for another key", () => {
    const once = givenUp(formatKeyring(installKey(newKeyring(one), two)));
    const twice = givenUp(formatKeyring(installKey(once, two)));
    const ring = installKey(twice, one);
    expect([once, twice, ring].map(({ keys }) => keys.map(({ epoch }) => epoch))).toEqual([[1], [1], [1, 4]]);
    expect(parseKeyring(formatKeyring(twice), "it")).toEqual({ ...newKeyring(one), last: 3 });
  });

  test("is told of as the last only while one waits for its use: the release before reads the rest", () => {
    const installed = installKey(newKeyring(one), two);
    const written = [newKeyring(one), installed, useNewestKey(installed)].map((ring) => formatKeyring(ring));
    expect(written.map((each) => each.includes('"last": 2'))).toEqual([false, true, false]);
  });
});

describe("a rotation", () => {
  const ring = newKeyring(one);
  const installed = installKey(ring, two);
  const used = useNewestKey(installed);

  test("installs, uses and removes", () => {
    expect(installed).toEqual({ primary: 1, keys: [...ring.keys, { epoch: 2, key: two }] });
    expect(used.primary).toBe(2);
    expect(removeOldKeys(used)).toEqual({ primary: 2, keys: [{ epoch: 2, key: two }] });
  });

  test("takes no step out of turn: it would cut off members that are behind", () => {
    expect(() => installKey(installed, one)).toThrow(expect.objectContaining({ code: "bad-request" }));
    expect(() => useNewestKey(ring)).toThrow(expect.objectContaining({ code: "bad-request" }));
    expect(() => removeOldKeys(installed)).toThrow(expect.objectContaining({ code: "bad-request" }));
    expect(() => installKey(installKey(used, one), one)).toThrow(expect.objectContaining({ code: "bad-request" }));
    const full = useNewestKey(installKey(used, one));
    expect(() => installKey(full, two)).toThrow("at most 3 keys");
  });
});
