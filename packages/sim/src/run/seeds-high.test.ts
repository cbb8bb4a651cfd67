/** The second half of the seeds. */
import { testSeeds } from "../testing/seed-suite.js";

testSeeds(501, 500);
