/** What tests of stores need of the agent: the suite every store passes, and the store by the book. */
export { cluster, idOf, ModelStore } from "./model-store.js";
export { STORE_CASES, type StoreCase, type StoreSubject } from "./store-suite.js";
