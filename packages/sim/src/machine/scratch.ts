/** Where simulated disks lie: in memory if there is such a place, since what is simulated to be synced need not be. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";

export const SCRATCH_DIR: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
