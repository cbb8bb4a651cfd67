/** Bugs in how checkpoints are sealed. What lies between us and S3 has its faults in a test of its own. */
const SEALING = "packages/checkpoint/src/sealing";
const TEST = `${SEALING}/sealing.test.ts`;

export const PLANTED_CHECKPOINTS = [
  {
    name: "a signature holds under any name",
    file: `${SEALING}/seals.ts`,
    from: ".update(name).update(Buffer.alloc(1))",
    to: ".update(Buffer.alloc(1))",
    test: TEST,
  },
  {
    name: "sealed bytes are believed whatever their tag",
    file: `${SEALING}/seals.ts`,
    from: "return false; // The caller says of which object",
    to: "return true; // The caller says of which object",
    test: TEST,
  },
  {
    name: "a store opens with another ring's names",
    file: `${SEALING}/store-key.ts`,
    from: "names: sha256Hex(ring.names)",
    to: 'names: ""',
    test: TEST,
  },
  {
    name: "an encrypted store names content by its hash",
    file: `${SEALING}/sealed-object-store.ts`,
    from: 'if (mode === "signed") return this.#inner.contentName(sha256);',
    to: "if (mode !== undefined) return this.#inner.contentName(sha256);",
    test: TEST,
  },
];
