/**
 * Security: what a seal costs a datagram, beside the bare cipher, and what TLS costs a frame, beside a bare WebSocket. The
 * bytes of both are as many as membership and gossip send.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from "node:crypto";
import { assert } from "@patina/base";
import { newCounter, newKey, newNodeId, systemNow } from "@patina/runtime";
import { newKeyring, PACKET_BYTES_MAX, SEAL_BYTES, Sealer } from "@patina/security";
import { ownGate } from "../own-gate.js";
import { type Figure, figure } from "../report.js";
import { interleave } from "../rounds.js";
import { WsEcho } from "../ws-echo.js";
import type { SuiteOptions } from "./suite.js";

const DATAGRAM_BYTES = PACKET_BYTES_MAX - SEAL_BYTES;
const FRAME_BYTES = 300;

const FULL = { rounds: 7, datagrams: 10_000, frames: 4000 };
const QUICK = { rounds: 2, datagrams: 500, frames: 200 };

export async function securitySuite({ isQuick, rng }: SuiteOptions): Promise<Figure[]> {
  const { rounds, datagrams, frames } = isQuick ? QUICK : FULL;
  const node = newNodeId();
  const [plain, secured] = [
    await WsEcho.start(FRAME_BYTES),
    await WsEcho.start(FRAME_BYTES, { gate: await ownGate(node), node }),
  ];
  try {
    const measured = await interleave(
      {
        cipher: () => microsecondsEach(datagrams, bareCipher()),
        seal: () => microsecondsEach(datagrams, sealAndOpen(node)),
        plain: async () => roundTrip(plain, frames),
        secured: async () => roundTrip(secured, frames),
      },
      { rounds, rng },
    );
    const cipher = { name: `bare AES-256-GCM both ways, ${DATAGRAM_BYTES} B`, unit: "µs", values: measured.cipher };
    const seal = { name: `seal and open a datagram, ${DATAGRAM_BYTES} B`, unit: "µs", values: measured.seal };
    const ws = { name: `bare ws round trip, ${FRAME_BYTES} B`, unit: "µs", values: measured.plain };
    const tls = { name: `ws over TLS 1.3 round trip, ${FRAME_BYTES} B`, unit: "µs", values: measured.secured };
    const better = "less";
    return [figure(cipher), figure(seal, { versus: cipher, better }), figure(ws), figure(tls, { versus: ws, better })];
  } finally {
    await plain.stop();
    await secured.stop();
  }
}

function sealAndOpen(node: string): () => void {
  const nowMs = systemNow().wallMs;
  const cluster = { name: "bench", generation: 1 };
  const shared = {
    cluster,
    keyring: newKeyring(newKey()),
    sendersMax: 8,
    bootAheadMs: 60_000,
    boot: Math.floor(nowMs),
  };
  const sender = new Sealer({ ...shared, node, firstCounter: newCounter() });
  const receiver = new Sealer({ ...shared, node: newNodeId(), firstCounter: newCounter() });
  const bytes = new Uint8Array(DATAGRAM_BYTES);
  return () => assert("bytes" in receiver.open(sender.seal(bytes), nowMs), "what was sealed opens");
}

function bareCipher(): () => void {
  const key = createSecretKey(newKey());
  const [nonce, bytes] = [Buffer.alloc(12), new Uint8Array(DATAGRAM_BYTES)];
  return () => {
    const cipher = createCipheriv("aes-256-gcm", key, nonce);
    const sealed = cipher.update(bytes);
    cipher.final();
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(cipher.getAuthTag());
    decipher.update(sealed);
    decipher.final();
  };
}

function microsecondsEach(times: number, work: () => void): number {
  const startMs = performance.now();
  for (let i = 0; i < times; i++) work();
  return ((performance.now() - startMs) * 1000) / times;
}

/** One frame at a time: the mean of their round trips. */
async function roundTrip(echo: WsEcho, frames: number): Promise<number> {
  const startMs = performance.now();
  for (let n = 0; n < frames; n++) await echo.deliver(n);
  return ((performance.now() - startMs) * 1000) / frames;
}
