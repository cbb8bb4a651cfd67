/** The router's HTTP answer and its map, for whoever measures them: the very parts that a global agent serves. */
export { addPlacementRoute, directPlacement } from "./placement/placement-route.js";
export { Resolver, type ResolverOptions } from "./placement/resolver.js";
export { RibFiles } from "./rib/rib-files.js";
export { StoreRows } from "./rib/store-rows.js";
export { SCHEMA_FILES } from "./tier.js";
