/** The router's HTTP answer, for whoever measures it: the very parts that a global agent serves. */
export { addPlacementRoute, directPlacement } from "./placement-route.js";
export { Resolver, type ResolverOptions } from "./resolver.js";
