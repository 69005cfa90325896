import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { conform, conformIn, endPlanes, listed, readResults, startTiny } from "./planes.ts";

afterAll(endPlanes);

const doc = (name: string): string => readFileSync(resolve(import.meta.dirname, "../../docs", name), "utf8");

test("each case has an id of its own and names a section of PROTOCOL.md, and CONFORMANCE.md lists it", async () => {
  const cases = await listed();
  const sections = [...doc("PROTOCOL.md").matchAll(/^#+ (.+)$/gm)].map(([, title]) => title);
  expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
  expect(cases.filter(({ section }) => !sections.includes(section))).toEqual([]);
  const page = doc("CONFORMANCE.md");
  expect(cases.filter(({ id, core }) => !page.includes(`| \`${id}\` | ${core ? "core" : "optional"} |`))).toEqual([]);
});

test.each([
  [["--driver", "true"], "none is named"],
  [["http://127.0.0.1:1", "--driver", "true"], "is not its address"],
  [["https://127.0.0.1:1"], "not exactly one way to drive it is named"],
  [
    ["https://127.0.0.1:1", "--driver", "true", "--dir", "D", "--keys", "K"],
    "not exactly one way to drive it is named",
  ],
  [["https://127.0.0.1:1", "--driver", "true", "--only", "no-such-case"], "there is no case no-such-case"],
  [["https://127.0.0.1:1", "--driver", "true", "--agent", "/nowhere"], "there is no agent at /nowhere"],
] as const)("a wrong command line is refused before anything is asked: %p", async (words, because) => {
  const said = await conform(...words);
  expect(said.stderr).toMatch(/^error: Cannot look at a control plane: /);
  expect(said.stderr).toContain(because);
  expect(said.stderr).toContain("\nhint: ");
  expect(said.code).toBe(2);
});

test("a driver that does not do something has what needs it skipped, or failed where it is of the core", async () => {
  const plane = await startTiny();
  const [url = "", , driver = ""] = plane.words;
  const partial = `d() { case "$1" in rotate|state) exit 3;; esac; ${driver} "$@"; }; d`;
  const ids = ["trust-newer-in-poll", "report-outcome", "report-empty"];
  const said = await conform(url, "--driver", partial, "--json", "--only", ...ids);
  const { cases, sum } = readResults(said);
  expect(cases.map(({ id, result, seen }) => [id, result, seen])).toEqual([
    ["trust-newer-in-poll", "skipped", "the driver does not do rotate"],
    ["report-empty", "passed", "0, then 1"],
    ["report-outcome", "failed", "the driver does not do state"],
  ]);
  expect(sum).toEqual({ passed: 1, failed: 1, skipped: 1 });
  expect(said.code).toBe(1);
}, 120_000);

test("what a person reads: a line for each case, what was expected where it was not so, the sum last, no colours in a pipe", async () => {
  const plane = await startTiny("theft-unnoticed");
  const said = await conform(...plane.words, "--only", "enrol-theft", "enrol-nobody");
  expect(said.stdout).toBe(
    "failed  enrol-theft: the answer is 403 token-burnt, not token-theft\n" +
      "        expected: a burnt token with another public key is `token-theft`, and the first agent goes on" +
      " (PROTOCOL.md, Enrolment listener (server TLS, no client certificate))\n" +
      "passed  enrol-nobody: 400 malformed\n" +
      "1 passed, 1 failed, 0 skipped\n",
  );
  expect(said.code).toBe(1);
}, 120_000);

test("where nobody listens it is said once, and of no case", async () => {
  const said = await conform("https://127.0.0.1:1", "--driver", "false", "--json");
  expect(said.stdout).toBe("");
  expect(said.stderr).toBe(
    "error: Cannot look at a control plane: https://127.0.0.1:1 cannot be reached (ECONNREFUSED).\n" +
      "hint: Start the control plane first; URL is its enrolment address.\n",
  );
  expect(said.code).toBe(5);
});

test("told to end, it leaves no agent, no process of its groups and no folder behind", async () => {
  const plane = await startTiny();
  const scratch = mkdtempSync(join(tmpdir(), "reeve-conformance-scratch-"));
  let [during, asked] = [0, false];
  const end = (child: { kill(signal: "SIGTERM"): boolean }, said: string): void => {
    if (asked || !said.includes("passed  agent-scale")) return;
    asked = true;
    during = processesOf(scratch).length;
    child.kill("SIGTERM");
  };
  try {
    const cases = (await listed()).map(({ id }) => id).filter((id) => id.startsWith("agent-"));
    const said = await conformIn({ TMPDIR: scratch }, end, ...plane.words, "--only", ...cases);
    // The agent, and the two processes that it was told to start.
    expect(during).toBeGreaterThanOrEqual(3);
    expect(said.code).toBe(1);
    expect(processesOf(scratch)).toEqual([]);
    expect(readdirSync(scratch)).toEqual([]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}, 120_000);

/** Command lines that name this folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLine(pid))
    .filter((line) => line.includes(folder));
}

/** A process that has just ended has none. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
