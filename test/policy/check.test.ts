import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPolicy } from "../../policy/parse.ts";
import { REFUSAL_CODES } from "../../policy/refusal.ts";
import { SIGNERS } from "./deploy-world.ts";

// A busy machine is not a failure.
setDefaultTimeout(60_000);

const COMMAND = new URL("../../agent/commands/policy/policy.ts", import.meta.url).pathname;
const EXAMPLE_PATH = new URL("./example.yaml", import.meta.url).pathname;
const EXAMPLE = readFileSync(EXAMPLE_PATH, "utf8");
const DOCS = readFileSync(new URL("../../docs/POLICY.md", import.meta.url), "utf8");

const CAROL = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFc3E9WZPlf0awRBGzpXP3Tdr+xPXSikNYKB6s4yZS70";

/** The command in a process of its own, as the executable runs it. */
function reeve(...args: string[]): { code: number; out: string; err: string } {
  const script = `const { policyCommand } = await import(${JSON.stringify(COMMAND)});
    await policyCommand().exitOverride().parseAsync(${JSON.stringify(args)}, { from: "user" });`;
  const run = Bun.spawnSync([process.execPath, "-e", script], { env: { PATH: "/usr/bin:/bin" }, timeout: 30_000 });
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() };
}
function withFile<T>(content: string | null, use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "reeve-policy-"));
  const path = join(folder, "policy.yaml");
  try {
    if (content === null) Bun.spawnSync(["mkfifo", path]);
    else writeFileSync(path, content);
    return use(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("policy check prints sentences, warnings, the digest and how many tests passed", () => {
  const { code, out, err } = reeve("check", EXAMPLE_PATH);
  expect([code, err]).toEqual([0, ""]);
  expect(out).toContain("brokers-grow: vendor.example may set the group prod-eu-1-brokers to between 3 and 9 machines");
  expect(out).toContain(`sha256:${new Bun.CryptoHasher("sha256").update(EXAMPLE).digest("hex")}\n`);
  expect(out.endsWith("9 tests passed\n")).toBe(true);
  const json = JSON.parse(reeve("check", EXAMPLE_PATH, "--json").out);
  expect(json).toMatchObject({ valid: true, revision: 7, tests: 9 });
});

test("policy check warns of untested rules, keys of the vendor's, rules that can permit nothing and very wide ranges", () => {
  const text = EXAMPLE.replace("made: in-cluster, type: [P-256] }  ", "made: by-vendor, type: [P-256] }  ")
    .replace("change: { up: 2, down: 0 }", "change: { up: 0, down: 0 }")
    .replace("within: [10.20.0.0/16]", "within: [0.0.0.0/1]")
    .replace(/tests:[\s\S]*/, "tests: []\n");
  withFile(text, (path) => {
    const { code, out } = reeve("check", path);
    expect(code).toBe(0);
    for (const warning of [
      "no test says",
      "vendor holds the private keys",
      "can change nothing",
      "a great many",
      "AAAA",
    ]) {
      expect(out).toContain(warning);
    }
  });
  withFile(text.replace(/rules:[\s\S]*/, "rules: []\ntests: []\n"), (path) => {
    expect(reeve("check", path).out).toContain("warning: there are no rules");
  });
});

test("an invalid file exits 3 with file, line and column; failing tests exit 1; no file, a folder and a FIFO exit 3", () => {
  withFile(EXAMPLE.replace("max: 9 }", "}"), (path) => {
    const { code, err, out } = reeve("check", path);
    expect([code, out]).toEqual([3, ""]);
    expect(err).toContain(`error: ${path}:19:12: max is missing\n`);
    expect(err).toContain("hint: ");
    const json = JSON.parse(reeve("check", path, "--json").out);
    expect(json.errors[0]).toMatchObject({ line: 19, column: 12, path: "rules[0].count.max", code: "policy.invalid" });
  });
  withFile(EXAMPLE.replace("count: 10 }, refuse: count", "count: 10 }, refuse: rate"), (path) => {
    expect(reeve("check", path).code).toBe(1);
  });
  expect(reeve("check", "/nothing/here.yaml")).toMatchObject({ code: 3, out: "" });
  expect(reeve("check", "/tmp").code).toBe(3);
  withFile(null, (path) => expect(reeve("check", path).code).toBe(3));
});

test("control characters of the file or its name never reach the terminal", () => {
  withFile(`${EXAMPLE}"a\u001b[2J\u202eb": 1\n`, (path) => {
    const { code, out, err } = reeve("check", path);
    expect(code).toBe(3);
    expect(`${out}${err}`).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
  });
  withFile(EXAMPLE.replace("id: brokers-grow", "id: 'bro\uE000kers'"), (path) => {
    const { out, err } = reeve("check", path);
    expect(`${out}${err}`).not.toMatch(/\p{Co}/u);
    expect(JSON.parse(reeve("check", path, "--json").out).valid).toBe(false);
  });
  expect(reeve("check", "/nothing\u001b[2J").err).not.toContain("\u001b");
});

test("policy schema prints a JSON Schema", () => {
  expect(JSON.parse(reeve("schema").out).properties.rules.type).toBe("array");
});

test("each example in docs/POLICY.md loads, its own tests too", () => {
  const blocks = [...DOCS.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
  // The recipes are rules and tests of a file whose other fields are the tutorial's.
  const signers = `signers: { release: ${SIGNERS[0]}, quality: ${SIGNERS[1]} }`;
  const first = blocks[2]?.slice(0, blocks[2].indexOf("rules:\n")) ?? "";
  const head = first.replace("alice:", `carol: ${CAROL}\n  alice:`).replace("signers: {}", signers);
  expect(blocks.filter((block) => block.startsWith("version: 1\n")).length).toBe(5);
  expect(blocks.filter((block) => block.startsWith("rules:\n")).length).toBe(6);
  expect(blocks.length).toBe(12);
  for (const block of blocks) {
    const loaded = loadPolicy(new TextEncoder().encode(block.startsWith("rules:") ? head + block : block));
    expect("errors" in loaded ? loaded.errors : []).toEqual([]);
  }
});

test("docs/POLICY.md names every code of match and policy, and no other", () => {
  const named = new Set([...DOCS.matchAll(/`((?:match|policy)\.[a-z.-]+)`/g)].map((match) => match[1]));
  named.delete("policy.yaml");
  const codes = REFUSAL_CODES.filter((code) => code.startsWith("match.") || code.startsWith("policy."));
  expect([...named].sort()).toEqual([...codes].sort());
});
