/** What an operator reads: one line an event that matters, as JSON by pino. Routine is counted, not logged. */
import type { AgentEvent } from "@patina/agent";
import { valueToJson } from "@patina/base";
import { type Logger, pino } from "pino";

export type { Logger } from "pino";

export function createLogger(level: string, name: string): Logger {
  return pino({ level, base: { name } }, pino.destination({ fd: 2, sync: true }));
}

export function logEvent(log: Logger, event: AgentEvent): void {
  switch (event.kind) {
    case "member": {
      const { nodeId, address, state, boot, incarnation } = event.member;
      log.info({ nodeId, address, boot, incarnation, from: event.previous ?? "unknown" }, `member is ${state}`);
      return;
    }
    case "quarantined": {
      const { origin, version } = event.change;
      log.warn({ origin, version, reason: event.reason }, "a change could not be applied and was put aside");
      return;
    }
    case "fenced":
    case "doubtful": {
      const { kind: _kind, key, ...rest } = event;
      const row = { ...rest, key: key.map(valueToJson) };
      if (event.kind === "doubtful") log.warn(row, "two workers claim a row in one epoch");
      else if (event.isOurs) log.warn(row, "a write of ours lost to another owner: stop what this row stands for");
      else log.debug(row, "a late write lost to its row's new owner");
      return;
    }
    case "forked":
      log.error({ origin: event.origin, version: event.version }, "two histories go by one origin's name");
      return;
    case "divergence":
      log.error({ peer: event.peer, ours: event.ours, theirs: event.theirs }, "equal holdings, unequal digests");
      return;
    case "clock-ahead":
      log.error({ origin: event.origin, aheadMs: event.aheadMs }, "a clock is far ahead, and its changes wait");
      return;
    case "evicted":
      log.fatal({ reason: event.reason }, "the database must not be used any more");
      return;
    case "outlived":
      log.fatal(
        { boot: event.boot },
        "the others know of a later start of this node, and believe nothing that this one says",
      );
      return;
    case "store-failed":
      log.fatal({ err: event.error }, "the database cannot take writes");
      return;
    case "fitness":
      if (!event.isFit) log.warn({ node: event.node }, "a member lags or flaps, and is not relied upon");
      return;
    case "over-budget":
      if (event.isOver) log.warn("this agent writes more than it may push: others fetch it, later");
      return;
    case "bootstrap":
      log.info({ peer: event.peer }, `catching up by snapshot: ${event.state}`);
      return;
    case "restituted":
      log.info(
        { origins: event.origins, from: event.from },
        "what lost nodes left owing was made up for from the others' rows",
      );
      return;
    case "peer-lagging":
    case "refused":
      log.debug(event, event.kind);
      return;
    case "changed":
    case "synced":
  }
}
