/** Which of the peers from Debian are on this machine. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export function isOnPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK);
      return dir !== "";
    } catch {
      return false; // Not there, or not to be run: the next directory may have it.
    }
  });
}
