import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "../../build/command.ts";
import { faultsOf } from "../../build/supply/audit.ts";
import { type Lock, lockOfRoot, readLock } from "../../build/supply/lock.ts";

const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<string, unknown>;
const TEXT = readFileSync(join(ROOT, "bun.lock"), "utf8");

test("every package is pinned to one version and its SHA-512, comes from npm's registry or a folder of ours, and runs no script", () => {
  const lock = lockOfRoot();
  expect(lock.packages.size).toBeGreaterThan(300);
  expect(faultsOf(lock, MANIFEST)).toEqual([]);
});

/** One row of bun.lock, `from` exchanged for `to`. */
const having = (from: string | RegExp, to: string): Lock => {
  const text = TEXT.replace(from, to);
  expect(text).not.toBe(TEXT);
  return readLock(text);
};
const JOSE = /\["jose@[^"]*", "", \{\}, "sha512-[^"]*"\]/;
const digest = `sha512-${"A".repeat(86)}==`;

test.each([
  ["a digest left out", having(JOSE, '["jose@6.2.18", "", {}, ""]'), ["jose has no SHA-512"]],
  ["a weaker digest", having(JOSE, '["jose@6.2.18", "", {}, "sha1-AAAA"]'), ["jose has no SHA-512"]],
  [
    "another registry",
    having(JOSE, `["jose@6.2.18", "https://npm.example/", {}, "${digest}"]`),
    ["jose comes from https://npm.example/"],
  ],
  [
    "a repository",
    having(JOSE, '["jose@git+ssh://git@example.com/jose.git#1", {}]'),
    ["jose comes from git+ssh://git@example.com/jose.git#1"],
  ],
  ["a file of another place", having(JOSE, '["jose@file:../jose", {}]'), ["jose comes from file:../jose"]],
  [
    "a script that is trusted",
    having('"overrides": {', '"trustedDependencies": ["protobufjs"],\n  "overrides": {'),
    ["bun.lock trusts protobufjs to run scripts when it is installed"],
  ],
])("%s is found", (_name, lock, wanted) => expect(faultsOf(lock, MANIFEST)).toEqual(wanted));

test("so is a range, an override from elsewhere, and a list of trusted packages that is not there or not empty", () => {
  const lock = lockOfRoot();
  const { trustedDependencies: _, ...without } = MANIFEST;
  expect(faultsOf(lock, without)).toHaveLength(1);
  expect(faultsOf(lock, { ...MANIFEST, trustedDependencies: ["protobufjs"] })).toHaveLength(1);
  expect(faultsOf(lock, { ...MANIFEST, dependencies: { jose: "^6.2.18" } })).toEqual([
    "package.json: dependencies asks for jose ^6.2.18, which is no one version",
  ]);
  expect(faultsOf(lock, { ...MANIFEST, overrides: { jose: "npm:other@1.0.0" } })).toEqual([
    "overrides put npm:other@1.0.0 in the place of jose",
  ]);
});

/** `bun audit` sends names and versions to the registry's advisories. Null: it answers no such question here, and why is printed. */
function advisories(): Record<string, unknown> | null {
  const words = ["audit", "--production", "--audit-level=high", "--json"];
  const asked = spawnSync(process.execPath, words, {
    cwd: ROOT,
    env: toolEnvironment(),
    encoding: "utf8",
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  if (asked.error === undefined && asked.stdout.trim().startsWith("{")) return JSON.parse(asked.stdout);
  console.log(`no advisories: bun audit ended with ${asked.signal ?? asked.status}: ${asked.stderr.trim()}`);
  return null;
}

const found = advisories();
test.skipIf(found === null)("no package in an executable has a known advisory of high or critical severity", () => {
  expect(found).toEqual({});
});
