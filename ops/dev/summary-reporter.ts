/** The closing line of a test run: `N passed, M failed, K skipped`, always last, always in this form. */
import type { Reporter, TestModule } from "vitest/node";

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const [checksPassed = 0, checksFailed = 0] = (process.env["PATINA_CHECKS"] ?? "0,0").split(",").map(Number);
    const counts = { passed: checksPassed, failed: checksFailed + unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) counts[test.result().state]++;
      // A file that fails to load, or a hook that throws, fails the run without failing a test.
      if (module.state() === "failed" && !tests.some((test) => test.result().state === "failed")) counts.failed++;
    }
    const skipped = counts.skipped + counts.pending;
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${skipped} skipped\n`);
  }
}
