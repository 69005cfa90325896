/**
 * `bun run check`: says by one command whether all is well. Every gate counts as one check, every test as one; the last line is
 * `N passed, N failed, N skipped`. Test files run a few at once; one that fails then is run once more alone, and named as unsteady when
 * it passes. Exit code 0 only when nothing failed. With CI=true a skip that is not in MAY_SKIP is a failure.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { packageProgram, run } from "./command.ts";
import { runAll, runSteadily, testFiles, whatFailed } from "./testFiles.ts";

/** Full names of tests that may be skipped in CI, with the reason why a CI machine cannot run them. */
const NO_TERRAFORM =
  "neither Terraform nor its AWS provider is in a registry that a CI machine reaches; some have them";
const NO_MACHINE = "this machine's kernel or its keeper permits no systemd-nspawn; why is printed by the test itself";
const NO_NAMESPACES = "this machine lets nobody make network namespaces";
const NO_ADVISORIES =
  "the registry that this machine reaches answers no question about advisories; what it said is printed by the test itself";
const MAY_SKIP: ReadonlyMap<string, string> = new Map([
  ["installed, it runs nothing, is not enabled, and holds no config, policy or secret", NO_MACHINE],
  [
    "an upgrade while it is stopped starts nothing; while it runs, the agent starts again with the state that it had",
    NO_MACHINE,
  ],
  ["removed, the agent has stopped, and what the owner and the agent wrote is kept", NO_MACHINE],
  ["installed again, it goes on with the same identity and log, without a token", NO_MACHINE],
  ["for good, it says what it leaves and where: policy, identity and audit log are evidence", NO_MACHINE],
  [
    "it is ready when it has enrolled with the token from systemd's credentials, and a later start needs no token",
    NO_MACHINE,
  ],
  [
    "nothing is in its environment but the path, where to report to and where the token lies, whatever a drop-in sets",
    NO_MACHINE,
  ],
  ["systemd hears of it again and again while its loops go round", NO_MACHINE],
  ["an agent that hangs is killed and started again, and its group's processes go on", NO_MACHINE],
  ["with provider local, a restart of the unit leaves the pids of the group's processes as they were", NO_MACHINE],
  [
    "without the drop-in for local groups, processes that are hidden are not taken for dead and started once more",
    NO_MACHINE,
  ],
  ["a stop finishes, is on record, and leaves the status behind", NO_MACHINE],
  ["a config that cannot be read is not tried again", NO_MACHINE],
  ["of the exit codes, 2, 3, 4, 6 and 70 are not tried again, others are", NO_MACHINE],
  ["in the unit's sandbox the agent can do what it must", NO_MACHINE],
  ["in the unit's sandbox it cannot change, replace or go around what decides about it", NO_MACHINE],
  ["in the unit's sandbox it cannot listen, trace, mount, become another or make memory code", NO_MACHINE],
  ["executable, config, policy and unit belong to root, and nobody else may write them or beside them", NO_MACHINE],
  [
    "a machine that boots with the rendered user-data joins: cloud-init is done, reeve is ready, the log has its entry",
    NO_MACHINE,
  ],
  [
    "once joined the token is only in cloud-init's own copies, which root alone reads, and what installed is gone",
    NO_MACHINE,
  ],
  ["the agent's user can write nothing that decides about it", NO_MACHINE],
  ["a second boot changes no placed file and does not enrol again", NO_MACHINE],
  [
    "another file than the one that was asked for: nothing is placed, cloud-init says so; put right, the next boot installs",
    NO_MACHINE,
  ],
  [
    "an expired token: cloud-init's output and reeve status both say so. The executable came without curl, by cloud-init's own Python",
    NO_MACHINE,
  ],
  [
    "names are not found, the power is cut, then the control plane is away: each is waited for or taken up again, and the machine joins without a human",
    NO_MACHINE,
  ],
  ["terraform validate accepts deploy/aws, and it is formatted as terraform fmt does", NO_TERRAFORM],
  ["deploy/azure is formatted as terraform fmt does", NO_TERRAFORM],
  [
    "what is planned for deploy/aws is as its own tests claim, and inputs that would permit more are refused",
    NO_TERRAFORM,
  ],
  ["deploy/gcp is formatted as terraform fmt does", NO_TERRAFORM],
  [
    "one firewall rule ends all change: no user's request is lost, and what is still valid runs once when it goes",
    NO_NAMESPACES,
  ],
  ["the control plane is killed and started again", NO_NAMESPACES],
  ["its disk is full: it says so itself, takes nothing, loses nothing, and goes on when there is room", NO_NAMESPACES],
  ["its name is gone", NO_NAMESPACES],
  ["its clock is an hour ahead: the agent's own clock judges what it signs", NO_NAMESPACES],
  ["TLS is intercepted by another CA", NO_NAMESPACES],
  ["it redirects", NO_NAMESPACES],
  ["it answers with 10 GB", NO_NAMESPACES],
  ["it answers with a gzip bomb", NO_NAMESPACES],
  ["connections are accepted and nothing is ever answered", NO_NAMESPACES],
  ["answers come with one byte a second", NO_NAMESPACES],
  ["after all of it the log is whole, and no request was lost", NO_NAMESPACES],
  ["no package in an executable has a known advisory of high or critical severity", NO_ADVISORIES],
]);

/** Programs and C headers (by their path) that the tests need for counterparts, and the Debian package that brings each. */
const NEEDED = [
  { program: "systemd-analyze", debian: "systemd" },
  { program: "man", debian: "man-db" },
  { program: "named", debian: "bind9" },
  { program: "dig", debian: "bind9-dnsutils" },
  { program: "nsupdate", debian: "bind9-dnsutils" },
  { program: "fish", debian: "fish" },
  { program: "strace", debian: "strace" },
  { program: "time", debian: "time" },
  { program: "zsh", debian: "zsh" },
  { program: "faketime", debian: "faketime" },
  { program: "openssl", debian: "openssl" },
  { program: "pebble", debian: "pebble" },
  { program: "/usr/lib/postgresql", debian: "postgresql" },
  { program: "psql", debian: "postgresql-client" },
  { program: "nginx", debian: "nginx-light" },
  { program: "nft", debian: "nftables" },
  { program: "ip", debian: "iproute2" },
  { program: "faketime", debian: "faketime" },
  { program: "ssh-keygen", debian: "openssh-client" },
  { program: "softhsm2-util", debian: "softhsm2" },
  { program: "pkcs11-tool", debian: "opensc" },
  { program: "python3", debian: "python3" },
  { program: "/usr/bin/pip3", debian: "python3-pip" },
  { program: "ps", debian: "procps" },
  { program: "systemd-nspawn", debian: "systemd-container" },
  { program: "cloud-init", debian: "cloud-init" },
  { program: "curl", debian: "curl" },
  { program: "ip", debian: "iproute2" },
  { program: "ss", debian: "iproute2" },
  { program: "chromium", debian: "chromium" },
  { program: "promtool", debian: "prometheus" },
  { program: "prometheus-node-exporter", debian: "prometheus-node-exporter" },
  { program: "setpriv", debian: "util-linux" },
  { program: "go", debian: "golang-go" },
  { program: "tinyproxy", debian: "tinyproxy" },
  { program: "squid", debian: "squid-openssl" },
  { program: "cc", debian: "gcc" },
  { program: "java", debian: "default-jre-headless" },
  { program: "mvn", debian: "maven" },
  { program: "objcopy", debian: "binutils" },
  { program: "bsdtar", debian: "libarchive-tools" },
  { program: "rpmbuild", debian: "rpm" },
  { program: "/usr/lib/python3/dist-packages/botocore/data", debian: "python3-botocore" },
  { program: "/usr/include/stdlib.h", debian: "libc6-dev" },
  { program: "/usr/include/openssl/evp.h", debian: "libssl-dev" },
] as const;

type Tally = { passed: number; failed: string[]; skipped: string[]; unsteady: string[] };
const tally: Tally = { passed: 0, failed: [], skipped: [], unsteady: [] };

function count(name: string, good: boolean): void {
  process.stdout.write(`${good ? "pass" : "FAIL"}: ${name}\n`);
  if (good) tally.passed += 1;
  else tally.failed.push(name);
}

function gate(name: string, command: readonly [string, ...string[]]): void {
  process.stdout.write(`\n== ${name}\n`);
  count(name, run(command));
}

/** Whether a program can be found; a path is looked at itself. */
function isThere(program: string): boolean {
  if (program.startsWith("/")) return existsSync(program);
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** Installs what the tests need from Debian. RUNLEVEL=1 keeps apt from starting a name server of its own. */
function install(): void {
  const missing = NEEDED.filter(({ program }) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(({ debian }) => debian))];
  process.stdout.write(`\n== installing Debian packages that the tests need: ${packages.join(" ")}\n`);
  if (process.getuid?.() !== 0 || !isThere("apt-get")) {
    process.stdout.write(
      `error: Cannot install them: this needs root and apt-get.\nhint: apt-get install ${packages.join(" ")}\n`,
    );
    count(`programs that tests need (${missing.map(({ program }) => program).join(", ")})`, false);
    return;
  }
  const quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"] as const;
  const good = run([...quiet, "update"]) && run([...quiet, "install", "-y", "--no-install-recommends", ...packages]);
  count(`installed ${packages.join(" ")}`, good && missing.every(({ program }) => isThere(program)));
}

async function tests(folder: string): Promise<void> {
  const files = testFiles(folder);
  if (files.length === 0) return count("tests: there are none", false);
  const done = await runSteadily(files, (these, lanes, report) => {
    if (lanes === "one") process.stdout.write(`\n== once more, alone: ${these.join(" ")}\n`);
    return runAll(these, lanes, report);
  });
  for (const run of done.runs) {
    for (const { name, result } of run.cases) {
      if (result === "passed") tally.passed += 1;
      else if (result === "skipped") tally.skipped.push(name);
    }
    tally.failed.push(...whatFailed(run));
  }
  tally.unsteady.push(...done.unsteady);
}

/** Prints what failed and what was skipped, then the last line; returns the exit code. */
function report(): number {
  process.stdout.write("\n");
  for (const name of tally.skipped) {
    const reason = MAY_SKIP.get(name);
    process.stdout.write(`skipped: ${name}${reason === undefined ? "" : ` (${reason})`}\n`);
    if (reason === undefined && process.env["CI"] === "true") tally.failed.push(`skipped in CI: ${name}`);
  }
  for (const name of tally.unsteady)
    process.stdout.write(`unsteady (failed beside other files, passed alone): ${name}\n`);
  for (const name of tally.failed) process.stdout.write(`failed: ${name}\n`);
  process.stdout.write(`${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped\n`);
  return tally.failed.length === 0 ? 0 : 1;
}

/** `--only FOLDER WORDS…`: what these tests need, the executables, and these tests alone; the words are for them (test/words.ts). */
async function only(folder: string): Promise<number> {
  install();
  gate("build", [process.execPath, "build/build.ts"]);
  await tests(folder);
  return report();
}

async function check(): Promise<number> {
  install();
  gate("lockfile", [process.execPath, "install", "--frozen-lockfile", "--dry-run"]);
  gate("format and lint", [packageProgram("biome"), "ci", "--colors=off", "."]);
  gate("types", [packageProgram("tsc"), "-p", "."]);
  gate("types of the page", [packageProgram("tsc"), "-p", "agent/ui/page"]);
  gate("dead code", [packageProgram("knip"), "--no-progress"]);
  gate("trust path", [process.execPath, "build/trust-path.ts"]);
  gate("build", [process.execPath, "build/build.ts"]);
  await tests("test");
  return report();
}

if (import.meta.main) {
  const [flag, folder, ...words] = process.argv.slice(2);
  process.env["REEVE_TEST_WORDS"] = words.join(" ");
  process.exit(await (flag === "--only" && folder !== undefined ? only(folder) : check()));
}
