/** The second half of the fleets. */
import { testTierSeeds } from "../testing/tier-seed-suite.js";

testTierSeeds(501, 500);
