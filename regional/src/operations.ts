/** The routes of a regional agent, described. */
import { type Operations, placementDocument } from "@patina/api";

const PLACE = { 404: "It is not here, or nowhere.", 503: "Nobody knows at the moment." };

export const regionalOperations: Operations = {
  "GET /v1/apps": { summary: "The apps of this region." },
  "GET /v1/apps/:app/placement": {
    summary: "Where an app is: here, or as a router says.",
    query: {
      wait: "ORIGIN:VERSION of a write.",
      everywhere: "true: elsewhere, too.",
      regions: "Only these, by commas.",
    },
    answer: placementDocument,
    answers: PLACE,
  },
  "GET /v1/apps/:app/watch": {
    summary: "An app's machines, and again whenever they change.",
    gives: "application/x-ndjson",
  },
  "GET /v1/apps/:app/instances": {
    summary: "An app's machines here.",
    query: { limit: "Machines given.", wait: "ORIGIN:VERSION of a write.", wait_ms: "How long to wait for it." },
    answers: PLACE,
  },
  "GET /v1/explain/:app": { summary: "What this agent believes of an app, and why." },
  "GET /v1/border": { summary: "What this agent told the global tier." },
  "POST /v1/border/doubts": { summary: "Rows of this region that a router found wrong.", takes: "application/json" },
};
