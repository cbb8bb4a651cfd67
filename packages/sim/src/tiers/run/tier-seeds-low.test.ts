/** The first half of the fleets; the other half runs beside it. */
import { testTierSeeds } from "../testing/tier-seed-suite.js";

testTierSeeds(1, 500);
