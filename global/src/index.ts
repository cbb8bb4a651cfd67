/** The router's HTTP answer, for whoever measures it: the very parts that a global agent serves. */
export { addPlacementRoute, directPlacement } from "./placement/placement-route.js";
export { Resolver, type ResolverOptions } from "./placement/resolver.js";
