/** The routes of a global agent, described. */
import { type Operations, placementDocument } from "@patina/api";
import { switchesSchema } from "../rib/rib-files.js";

const NDJSON = "application/x-ndjson";

export const globalOperations: Operations = {
  "GET /v1/apps": {
    summary: "The apps of the map and their regions, a page at a time.",
    query: { limit: "Apps of a page.", after: "`next` of the page before." },
  },
  "GET /v1/apps/:app/placement": {
    summary: "Where an app is, now.",
    query: {
      near: "A region, or latitude,longitude: the nearest goes first.",
      regions: "Only these, by commas.",
      max_age: "Nothing older than so many seconds; kept answers up to that age will do.",
      require: "live: only what a region says now.",
      wait: "ORIGIN:VERSION of a write: every region is asked once it holds that.",
    },
    answer: placementDocument,
    answers: { 404: "It is nowhere, for certain.", 503: "Nobody knows at the moment." },
  },
  "GET /v1/apps/:app/watch": {
    summary: "Where an app is, and again whenever that changes.",
    query: { from: "The last event that was seen." },
    gives: NDJSON,
  },
  "GET /v1/explain/:app": { summary: "What every tier believes of an app, and why." },
  "GET /v1/regions": { summary: "Every region, and how fresh what is known of it is." },
  "GET /v1/map/quarantine": { summary: "Rows that are kept out of the map, and why." },
  "POST /v1/map/quarantine/retry": { summary: "Takes them again." },
  "GET /v1/switches": { summary: "What is switched off at this router.", answer: switchesSchema },
  "PUT /v1/switches": { summary: "Switches off and on, at once and over a restart.", body: switchesSchema },
  "POST /v1/queries": {
    summary: "A statement that reads, here or in every region at once.",
    takes: "application/json",
    query: { scope: "Which regions are asked.", timeout: "Seconds after which it is given up." },
    gives: NDJSON,
  },
  "GET /v1/index": { summary: "How many rows this agent has written to the index." },
  "GET /v1/placements": {
    summary: "A region's rows of the index, a page at a time.",
    query: {
      region: "Whose.",
      withdrawn: "true: those that are no more, too, with the first page.",
      after: "`next` of the page before.",
    },
  },
  "POST /v1/placements": { summary: "A border's rows, signed.", takes: "application/json" },
  "POST /v1/regions/:region": { summary: "A region's heartbeat, signed.", takes: "application/json" },
};
