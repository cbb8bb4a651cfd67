/** The first half of the seeds; the other half runs beside it. */
import { testSeeds } from "../testing/seed-suite.js";

testSeeds(1, 500);
