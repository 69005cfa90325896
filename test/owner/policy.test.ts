import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ran, REEVE, ran } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

/** The policy's tools as the customer runs them: the compiled executable, real files, a real terminal. */

const EXAMPLE = readFileSync(new URL("../policy/example.yaml", import.meta.url), "utf8");
const NEXT = EXAMPLE.replace("revision: 7 ", "revision: 8 ");
const ROOT = process.getuid?.() === 0;
const NOBODY = 65534;

let base: string;
let owner: string;
let config: string;
beforeAll(() => requireDebian({ strace: "strace", script: "bsdutils" }));
beforeEach(() => {
  if (base !== undefined) rmSync(base, { recursive: true, force: true });
  base = mkdtempSync(join(tmpdir(), "reeve-owner-policy-"));
  chmodSync(base, 0o755);
  owner = join(base, "owner");
  mkdirSync(owner, { mode: 0o755 });
  config = file(
    "reeve.yaml",
    `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://127.0.0.1:1", trust_sha256: ${"A".repeat(43)} }
owner: { directory: ${owner}, uid: ${process.getuid?.() ?? 0} }
token: { file: ${join(base, "token")} }
provider: local
`,
  );
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(base, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}
function reeve(...args: string[]): Ran {
  return ran(REEVE, "policy", ...args);
}
function install(path: string, ...more: string[]): Ran {
  return reeve("check", path, "--install", "--config", config, ...more);
}
const installed = (): string => readFileSync(join(owner, "policy.yaml"), "utf8");

test("review says what the vendor's file permits beyond the customer's, with an example, and exits 1; the other way round 0", () => {
  const mine = file("mine.yaml", EXAMPLE);
  const theirs = file(
    "vendor.yaml",
    NEXT.replace(
      "count: { min: 3, max: 9 }\n    change: { up: 2",
      "count: { min: 3, max: 12 }\n    change: { up: 2",
    ).replace(/tests:[\s\S]*/, "tests: []\n"),
  );
  const asked = reeve("review", theirs, "--mine", mine);
  expect([asked.code, asked.stderr]).toEqual([1, ""]);
  expect(asked.stdout).toContain("  scale prod-eu-1-brokers\n");
  expect(asked.stdout).toContain(
    "set the group prod-eu-1-brokers to 10 to 12 machines, adding at most 2, without asking anybody (rule brokers-grow)",
  );
  expect(asked.stdout).toContain(
    "refuses: the customer's rule brokers-grow allows at most 9, count: { min: 3, max: 9 }",
  );
  expect(asked.stdout).toContain("example: scale --group prod-eu-1-brokers --count 10\n");
  expect(asked.stdout).toContain('given: {"count":9,"at":"2026-01-05T00:00:00Z"}\n');
  expect(asked.stdout).toContain(`a test of ${mine} is not in ${theirs}`);
  const back = reeve("review", mine, "--mine", theirs);
  expect([back.code, back.stdout.split("\n").at(-2)]).toEqual([0, `${mine} asks for no more than ${theirs}.`]);
  expect(reeve("review", mine, "--mine", mine)).toMatchObject({ code: 0, stderr: "" });
});

test("review --json is one object, whose example both files judge as it says when explain is asked", () => {
  const mine = file("mine.yaml", EXAMPLE);
  const theirs = file(
    "vendor.yaml",
    EXAMPLE.replace("changes: [create, replace] ", "changes: [create, replace, delete] "),
  );
  const { code, stdout } = reeve("review", theirs, "--mine", mine, "--json");
  expect(code).toBe(1);
  const said = JSON.parse(stdout) as {
    asks_for_more: boolean;
    differences: { side: string; rule: string; example: { ask: object; given: object } }[];
  };
  expect(said).toMatchObject({ asks_for_more: true, theirs: { revision: 7 }, mine: { revision: 7 } });
  const [difference, ...others] = said.differences;
  expect([difference?.side, difference?.rule, others]).toEqual(["theirs", "broker-dns", []]);
  const command = file("command.json", JSON.stringify(difference?.example.ask));
  const given = JSON.stringify(difference?.example.given);
  expect(reeve("explain", theirs, command, "--given", given).code).toBe(0);
  expect(reeve("explain", mine, command, "--given", given).code).toBe(1);
});

test("review exits 3 when one of the files does not load, and says which; 2 without --mine", () => {
  const [good, bad] = [file("good.yaml", EXAMPLE), file("bad.yaml", EXAMPLE.replace("max: 9 }", "}"))];
  for (const args of [
    [bad, "--mine", good],
    [good, "--mine", bad],
  ]) {
    const { code, stderr } = reeve("review", ...args);
    expect([code, stderr.includes(`error: ${bad}:19:12: max is missing`)]).toEqual([3, true]);
  }
  const failing = file("failing.yaml", EXAMPLE.replace("count: 10 }, refuse: count", "count: 10 }, refuse: rate"));
  expect(reeve("review", failing, "--mine", good).code).toBe(3);
  expect(reeve("review", good).code).toBe(2);
  expect(reeve("review", join(base, "none.yaml"), "--mine", good).code).toBe(3);
});

/** What a runner of GitHub Actions reads from a line, by its own rules. */
function annotationIn(line: string): { kind: string; place: Record<string, string>; message: string } | null {
  const match = /^::(\w+) ([^:]*)::(.*)$/.exec(line);
  if (match === null) return null;
  const plain = (text: string): string => text.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%25", "%");
  const place = Object.fromEntries(
    (match[2] ?? "").split(",").map((pair) => {
      const [name = "", value = ""] = pair.split(/=(.*)/s);
      return [name, plain(value.replaceAll("%3A", ":").replaceAll("%2C", ","))];
    }),
  );
  return { kind: match[1] ?? "", place, message: plain(match[3] ?? "") };
}

test("--format github annotates the lines of the file, whatever is in its name and its words", () => {
  const mine = file("mine.yaml", EXAMPLE);
  const theirs = file(
    "a,b%0A::error file=x::y.yaml",
    EXAMPLE.replace("[10.20.0.0/16]", "[10.20.0.0/15]").replace("[10.21.3.4], ttl", "[10.22.3.4], ttl"),
  );
  const { code, stdout } = reeve("review", theirs, "--mine", mine, "--format", "github");
  expect(code).toBe(1);
  const [only, test, ...others] = stdout.trimEnd().split("\n").map(annotationIn);
  expect([only?.kind, test?.kind, test?.place["title"], others]).toEqual(["error", "notice", "tests", []]);
  const line = EXAMPLE.split("\n").findIndex((text) => text.includes("id: broker-dns")) + 1;
  expect(only?.place).toEqual({ file: theirs, line: String(line), col: "5", title: "permits more" });
  expect(only?.message).toContain("at least one of them 10.21.0.0/16");
  const bad = file("bad.yaml", EXAMPLE.replace("max: 9 }", "}"));
  const checked = reeve("check", bad, "--format", "github");
  expect(checked.code).toBe(3);
  expect(annotationIn(checked.stdout.trimEnd())).toEqual({
    kind: "error",
    place: { file: bad, line: "19", col: "12", title: "policy.invalid" },
    message: "max is missing. Every field is required: what is not to be limited is written out.",
  });
  const untested = file("untested.yaml", EXAMPLE.replace(/tests:[\s\S]*/, "tests: []\n"));
  const warned = reeve("check", untested, "--format", "github");
  expect(warned.code).toBe(0);
  expect(
    warned.stdout
      .split("\n")
      .map(annotationIn)
      .filter((one) => one?.kind === "warning").length,
  ).toBe(5);
});

test("explain exits 0 allowed, 1 refused, 8 when it waits or the state is not known, 3 unreadable, 2 for a time that is none", () => {
  const policy = file("policy.yaml", EXAMPLE);
  const asks = (count: number): string =>
    file(`scale-${count}.json`, JSON.stringify({ action: "scale", args: { group: "prod-eu-1-brokers", count } }));
  const explain = (count: number, ...more: string[]): Ran =>
    reeve("explain", policy, asks(count), "--at", "2026-11-24T09:00:00Z", ...more);
  expect(explain(9, "--given", '{"count":7}').code).toBe(0);
  expect(explain(12, "--given", '{"count":7}').code).toBe(1);
  expect(explain(8, "--given", '{"count":9}').code).toBe(8);
  expect(explain(8, "--given", '{"count":9,"approved":["alice"],"waited":"5m"}').code).toBe(0);
  expect(explain(8, "--given", '{"count":9,"approved":["alice"],"waited":"3h"}').code).toBe(1);
  expect(explain(9, "--given", '{"count":7,"used":{"brokers-grow":4}}').code).toBe(1);
  expect(explain(9).code).toBe(8);
  expect(explain(9).stdout).toContain("  not known   change");
  expect(explain(12).code).toBe(1);
  for (const given of [
    '{"count":',
    '{"count":-1}',
    '{"record":"none"}',
    '{"count":7,"used":{"nobody":1}}',
    '{"count":7,"approved":["mallory"]}',
    join(base, "none.json"),
  ]) {
    expect([given, explain(9, "--given", given).code]).toEqual([given, 3]);
  }
  expect(reeve("explain", policy, file("x.json", "{}")).code).toBe(3);
  expect(reeve("explain", policy, asks(9), "--at", "yesterday").code).toBe(2);
  const refused = explain(12, "--given", '{"count":7}').stdout;
  expect(refused).toStartWith("refused: scale prod-eu-1-brokers to 12, closest brokers-grow\n");
  expect(refused).toContain("  no          count      asked 12   limit { min: 3, max: 9 }   allows at most 9\n");
});

test("explain takes a command's claims as they are, and judges by their vendor, cluster and dry run", () => {
  const policy = file("policy.yaml", EXAMPLE);
  const claims = {
    iss: "vendor.example",
    aud: "spiffe://vendor.example/cluster/prod-eu-1/agent",
    jti: "01935f2e-8c6a-7000-8000-000000000000",
    iat: 1,
    exp: 2,
    epoch: 1,
    by: "maria",
    why: "x",
    dry_run: false,
    action: "scale",
    args: { group: "prod-eu-1-brokers", count: 9 },
  };
  const code = (more: object): unknown => {
    const { stdout } = reeve(
      "explain",
      policy,
      file("claims.json", JSON.stringify({ ...claims, ...more })),
      "--given",
      '{"count":7,"at":"2026-11-24T09:00:00Z"}',
      "--json",
    );
    const said = JSON.parse(stdout) as { decision: string; refusal: { code: string } | null };
    return said.refusal?.code ?? said.decision;
  };
  expect(code({})).toBe("allowed");
  expect(code({ iss: "other.example" })).toBe("match.vendor");
  expect(code({ aud: "spiffe://vendor.example/cluster/prod-eu-2/agent" })).toBe("match.cluster");
});

test("nothing that others wrote reaches the terminal unescaped", () => {
  const policy = file("policy.yaml", EXAMPLE);
  const evil = file("evil.json", JSON.stringify({ action: "scale", args: { group: "g\u001b[2J", count: 1 } }));
  const named = file("red\u001b[31m.yaml", EXAMPLE);
  for (const { stdout, stderr } of [
    reeve("explain", policy, evil),
    reeve("review", named, "--mine", policy),
    reeve("check", named, "--install", "--owner", `${owner}\u001b[2J`),
  ]) {
    expect(`${stdout}${stderr}`).not.toMatch(/[^\P{Cc}\n]/u);
    expect(`${stdout}${stderr}`.length).toBeGreaterThan(10);
  }
});

test("new prints a policy that loads and permits nothing, for each provider; it overwrites nothing", () => {
  for (const provider of ["local", "aws", "gcp", "azure"]) {
    const out = join(base, `${provider}.yaml`);
    expect(
      reeve("new", "--provider", provider, "--cluster", "prod-eu-1", "--vendor", "vendor.example", "--out", out).code,
    ).toBe(0);
    const checked = reeve("check", out);
    expect([checked.code, checked.stdout.includes("vendor.example may do nothing")]).toEqual([0, true]);
    expect(reeve("new", "--provider", provider, "--cluster", "prod-eu-1").stdout).toBe(readFileSync(out, "utf8"));
    expect(reeve("new", "--provider", provider, "--out", out).code).toBe(1);
  }
  expect(reeve("new").code).toBe(2);
  expect(reeve("new", "--provider", "other").code).toBe(2);
  expect(reeve("new", "--provider", "aws", "--cluster", "Not a name").code).toBe(2);
});

test("check --install puts the first file in force, and the next one with what changes; both whole, 0644", () => {
  const first = install(file("first.yaml", EXAMPLE), "--yes");
  expect([first.code, first.stderr]).toEqual([0, ""]);
  expect(first.stdout).toContain("everything is refused");
  expect(installed()).toBe(EXAMPLE);
  expect(lstatSync(join(owner, "policy.yaml")).mode & 0o7777).toBe(0o644);
  const wider = NEXT.replace("4 per hour", "6 per hour").replace("brokers-grow: 4 }", "brokers-grow: 6 }");
  const next = install(file("next.yaml", wider), "--yes");
  expect(next.code).toBe(0);
  expect(next.stdout).toContain("6 per hour (rule brokers-grow); the installed file 4 per hour (rule brokers-grow)");
  expect(next.stdout).toMatch(/^- brokers-grow: .*at most 4 per hour/m);
  expect(next.stdout).toMatch(/^\+ brokers-grow: .*at most 6 per hour/m);
  expect(installed()).toBe(wider);
  expect(readdirSync(owner)).toEqual(["policy.yaml"]);
  // The same bytes again are no change.
  expect(install(file("next.yaml", wider))).toMatchObject({ code: 0 });
  expect(
    JSON.parse(install(file("third.yaml", NEXT.replace("revision: 8 ", "revision: 9 ")), "--yes", "--json").stdout),
  ).toMatchObject({
    installed: true,
    changed: true,
    revision: 9,
    review: { asks_for_more: false },
  });
});

test("check --install refuses an equal or lower revision with other bytes, another cluster, failing tests; nothing is changed", () => {
  expect(install(file("first.yaml", EXAMPLE), "--yes").code).toBe(0);
  const refused = (name: string, text: string): readonly [number | null, string] => {
    const { code, stderr } = install(file(name, text), "--yes");
    expect(installed()).toBe(EXAMPLE);
    return [code, stderr];
  };
  const equal = refused("equal.yaml", EXAMPLE.replace("4 per hour", "1 per hour"));
  expect([
    equal[0],
    equal[1].includes("the same revision") && equal[1].includes("hint: Give it the revision 8 or higher."),
  ]).toEqual([1, true]);
  expect(refused("lower.yaml", EXAMPLE.replace("revision: 7 ", "revision: 6 "))[0]).toBe(1);
  const elsewhere = refused("elsewhere.yaml", NEXT.replace("cluster: prod-eu-1\n", "cluster: prod-us-1\n"));
  expect([elsewhere[0], elsewhere[1].includes("it is for the cluster prod-us-1, this is prod-eu-1")]).toEqual([
    1,
    true,
  ]);
  expect(refused("failing.yaml", NEXT.replace("count: 10 }, refuse: count", "count: 10 }, refuse: rate"))[0]).toBe(1);
  expect(refused("invalid.yaml", NEXT.replace("max: 9 }", "}"))[0]).toBe(3);
  // Without a terminal it must be said.
  const unasked = install(file("next.yaml", NEXT));
  expect([unasked.code, unasked.stderr.includes("hint: Say --yes.")]).toEqual([2, true]);
  expect(installed()).toBe(EXAMPLE);
  expect(reeve("check", file("next.yaml", NEXT), "--yes").code).toBe(2);
});

test("check --install asks on a terminal: y installs, anything else does not", () => {
  const next = file("next.yaml", EXAMPLE);
  const onTerminal = (answer: string): { code: number | null; out: string } => {
    const command = `${REEVE} policy check ${next} --install --config ${config}`;
    const done = spawnSync("script", ["-qec", command, "/dev/null"], {
      input: answer,
      encoding: "utf8",
      timeout: 30_000,
      env: { PATH: "/usr/bin:/bin", TERM: "dumb" },
    });
    return { code: done.status, out: done.stdout };
  };
  const no = onTerminal("n\n");
  expect([no.code, no.out.includes("[y/N]"), existsSync(join(owner, "policy.yaml"))]).toEqual([1, true, false]);
  expect(onTerminal("y\n").code).toBe(0);
  expect(installed()).toBe(EXAMPLE);
});

test("check --install never goes through a link, and not into a folder that others may write", () => {
  const next = file("next.yaml", NEXT);
  const elsewhere = file("elsewhere.yaml", EXAMPLE);
  symlinkSync(elsewhere, join(owner, "policy.yaml"));
  expect(install(next, "--yes")).toMatchObject({ code: 4 });
  expect(readFileSync(elsewhere, "utf8")).toBe(EXAMPLE);
  rmSync(join(owner, "policy.yaml"));
  // One that lies in the way of the temporary file is taken away, not followed.
  symlinkSync(elsewhere, join(owner, "policy.yaml.new"));
  expect(install(next, "--yes").code).toBe(0);
  expect([readFileSync(elsewhere, "utf8"), installed(), readdirSync(owner)]).toEqual([EXAMPLE, NEXT, ["policy.yaml"]]);
  const link = join(base, "link");
  symlinkSync(owner, link);
  expect(reeve("check", next, "--install", "--owner", link, "--yes").code).toBe(4);
  chmodSync(owner, 0o777);
  expect(install(next, "--yes").code).toBe(4);
  chmodSync(owner, 0o755);
  expect(reeve("check", next, "--install", "--owner", join(base, "none"), "--yes").code).toBe(3);
});

test.if(ROOT)("by root the installed file is the folder's owner's; another user is refused and changes nothing", () => {
  chownSync(owner, NOBODY, NOBODY);
  const next = file("next.yaml", NEXT);
  expect(reeve("check", next, "--install", "--owner", owner, "--yes").code).toBe(0);
  expect(lstatSync(join(owner, "policy.yaml")).uid).toBe(NOBODY);
  chownSync(owner, 0, 0);
  const third = file("third.yaml", NEXT.replace("revision: 8 ", "revision: 9 "));
  const other = ran(
    "setpriv",
    "--reuid",
    String(NOBODY),
    "--regid",
    String(NOBODY),
    "--clear-groups",
    REEVE,
    "policy",
    "check",
    third,
    "--install",
    "--owner",
    owner,
    "--yes",
  );
  expect([other.code, installed()]).toEqual([4, NEXT]);
  expect(readdirSync(owner)).toEqual(["policy.yaml"]);
});

test("whatever fails on the way, the former policy stays whole and in force: a sync that fails, a kill before the rename", () => {
  expect(install(file("first.yaml", EXAMPLE), "--yes").code).toBe(0);
  const next = file("next.yaml", NEXT);
  const under = (...inject: string[]): Ran =>
    ran(
      "strace",
      "-f",
      "-o",
      join(base, "trace"),
      ...inject,
      REEVE,
      "policy",
      "check",
      next,
      "--install",
      "--config",
      config,
      "--yes",
    );
  const failed = under("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO");
  expect([failed.code, failed.stderr.includes("(EIO)"), installed(), readdirSync(owner)]).toEqual([
    4,
    true,
    EXAMPLE,
    ["policy.yaml"],
  ]);
  const killed = under(
    "-e",
    "trace=rename,renameat,renameat2",
    "-e",
    "inject=rename,renameat,renameat2:signal=SIGKILL",
  );
  expect([killed.code === 0, installed()]).toEqual([false, EXAMPLE]);
  // What it left behind is in nobody's way.
  const traced = under("-e", "trace=openat,fdatasync,rename,renameat,renameat2,fsync");
  expect([traced.code, installed(), readdirSync(owner)]).toEqual([0, NEXT, ["policy.yaml"]]);
  const calls = readFileSync(join(base, "trace"), "utf8")
    .split("\n")
    .map((line) => line.replace(/^\d+ +/, ""));
  const nth = (start: RegExp): number => calls.findIndex((call) => start.test(call));
  const order = [
    nth(/^openat.*policy\.yaml\.new.*O_EXCL/),
    nth(/^fdatasync/),
    nth(/^rename.*policy\.yaml\.new/),
    calls.findLastIndex((call) => call.startsWith("fsync(")),
  ];
  expect(order.every((at) => at >= 0)).toBe(true);
  expect(order.toSorted((a, b) => a - b)).toEqual(order);
});
