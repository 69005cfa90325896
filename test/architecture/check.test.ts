import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toolEnvironment } from "../../build/command.ts";
import { casesOf, type FileRun, runSteadily, whatFailed } from "../../build/testFiles.ts";
import { justified } from "../../build/trust-path.ts";

test("what bun test reports is counted: passed, failed and skipped, whatever their names", () => {
  const folder = mkdtempSync(join(tmpdir(), "reeve-cases-"));
  try {
    const text = `import { describe, expect, test } from "bun:test";
describe("a & b", () => {
  test("good <1>", () => undefined);
  test("bad", () => expect(1).toBe(2));
  test.skip("not \\"here\\"", () => undefined);
});
test.skipIf(true)("not on this machine", () => undefined);
`;
    writeFileSync(join(folder, "some.test.ts"), text);
    const command = [process.execPath, "test", "./some.test.ts", "--reporter=junit", "--reporter-outfile=report.xml"];
    const ended = Bun.spawnSync(command, { cwd: folder, env: toolEnvironment(), stdout: "ignore", stderr: "ignore" });
    expect(ended.exitCode).toBe(1);
    const cases = casesOf(readFileSync(join(folder, "report.xml"), "utf8"));
    expect(cases).toEqual([
      { name: "good <1>", result: "passed" },
      { name: "bad", result: "failed" },
      { name: 'not "here"', result: "skipped" },
      { name: "not on this machine", result: "skipped" },
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a package is justified by a row with its name, the version that was looked at, and a reason", () => {
  const rows = "| `jose` | 6.2.18 | Opens envelopes. | 2026 | 1 KB |\n| `yaml` | 2.9.1 |  | 2026 | 1 KB |\nzod 4.6.7\n";
  expect([...justified(rows)]).toEqual(["jose 6.2.18"]);
});

const bad = (file: string): FileRun => ({ file, cases: [{ name: "t", result: "failed" }], fault: null });
const good = (file: string): FileRun => ({ file, cases: [{ name: "t", result: "passed" }], fault: null });

test("a file that failed beside others is run once more alone; only what fails then too has failed, and the rest is named", async () => {
  const began: string[] = [];
  const done = await runSteadily(["steady", "unsteady", "broken"], async (files, lanes, report) => {
    for (const file of files) {
      began.push(`${file} ${lanes}`);
      report(file === "broken" || (file === "unsteady" && lanes === "several") ? bad(file) : good(file));
    }
  });
  expect(began).toEqual(["steady several", "unsteady several", "broken several", "unsteady one", "broken one"]);
  expect(done.unsteady).toEqual(["unsteady: t"]);
  expect(done.runs.flatMap(whatFailed)).toEqual(["broken: t"]);
  expect(done.runs.map(({ file }) => file)).toEqual(["steady", "unsteady", "broken"]);
});

test("when many files failed, none is tried again", async () => {
  const files = Array.from({ length: 11 }, (_, number) => `file ${number}`);
  let runs = 0;
  const done = await runSteadily(files, async (these, _lanes, report) => {
    for (const file of these) report(bad(file));
    runs += 1;
  });
  expect(runs).toBe(1);
  expect(done.runs.flatMap(whatFailed).length).toBe(11);
});
