import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, chmodSync, readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import {
  addProgram,
  deploy,
  entries,
  last,
  type Manifest,
  manifest,
  newRules,
  type Program,
  place,
  released,
  running,
  type Stage,
  scale,
  stage,
} from "./world.ts";

/** Every deploy that is refused, by the compiled executables: each before anything is touched, with its code. */
let s: Stage;
let next: Program;
beforeAll(async () => {
  s = await stage();
  next = addProgram(s.artifacts, "next");
  await s.start();
  scale(s, 2);
}, 180_000);
afterAll(async () => {
  await s?.end();
}, 60_000);

/** The code of the refusal; that it changed nothing is held here. */
function refused(digest: string, ...flags: string[]): string | null | undefined {
  const before = running(s);
  const count = entries(s).length;
  expect(deploy(s, digest, ...flags)).toMatchObject({ code: 1 });
  const since = entries(s).slice(count);
  expect(since.filter(({ kind }) => kind === "intent" || kind === "outcome")).toEqual([]);
  expect(running(s)).toEqual(before);
  expect(before).toEqual(Array(2).fill(s.first.image));
  return since.find(({ kind }) => kind === "refused")?.code;
}

const FOREIGN: readonly (readonly [string, string, Manifest])[] = [
  ["a signer that the rule does not name", "policy.manifest.signers", { by: "stranger" }],
  ["a version below the rule's", "policy.manifest.version", { version: "0.9.9" }],
  ["a version above the rule's", "policy.manifest.version", { version: "2.0.0" }],
  ["another cluster", "policy.manifest.cluster", { cluster: "prod-eu-2" }],
  ["another place", "policy.manifest.place", { place: '{ cloud: aws, account: "111122223333", region: eu-west-1 }' }],
  ["another policy than the one in force", "policy.manifest.policy", { policy: `sha256:${"1".repeat(64)}` }],
  [
    "groups without the one that is asked for",
    "policy.manifest.group",
    { groups: "{ other: { image: app, count: 3 } }" },
  ],
  ["an image that lies elsewhere than by its digest", "artifact.malformed", { image: `sha256:${"2".repeat(64)}` }],
];
for (const [what, code, with_] of FOREIGN)
  test(`a manifest of ${what} is refused: ${code}`, () => {
    expect(refused(released(s, next, with_))).toBe(code);
  }, 60_000);

test("a rule that needs two signers is not satisfied by one", () => {
  newRules(s, 2, { need: 2 });
  expect(refused(released(s, next))).toBe("policy.manifest.signers");
  newRules(s, 3);
}, 60_000);

test("an unsigned manifest, one whose signature is wrong, and one whose bytes were changed are refused", () => {
  const { digest, file } = manifest(s, next);
  const note = readFileSync(file, "utf8");
  const end = note.lastIndexOf("\n\n");
  place(s, digest, note.slice(0, end + 1));
  expect(refused(digest)).toBe("artifact.malformed");
  // The signature of another manifest by the same key.
  const other = readFileSync(manifest(s, next, { version: "1.2.4" }).file, "utf8");
  place(s, digest, note.slice(0, end) + other.slice(other.lastIndexOf("\n\n")));
  expect(refused(digest)).toBe("policy.manifest.signers");
  place(s, digest, note.replace('"1.2.3"', '"1.2.5"'));
  expect(refused(digest)).toBe("artifact.digest");
  place(s, digest, other);
  expect(refused(digest)).toBe("artifact.digest");
}, 120_000);

test("what is not there, too large, compressed, or writable by others is no manifest", () => {
  const { digest, file } = manifest(s, next, { version: "1.3.0" });
  expect(refused(digest)).toBe("artifact.missing");
  place(s, digest, gzipSync(readFileSync(file)));
  expect(refused(digest)).toBe("artifact.malformed");
  place(s, digest, Buffer.alloc(1_000_001, "a"));
  expect(refused(digest)).toBe("artifact.missing");
  place(s, digest, readFileSync(file));
  chmodSync(s.artifacts.directory, 0o777);
  expect(refused(digest)).toBe("artifact.missing");
  chmodSync(s.artifacts.directory, 0o755);
}, 120_000);

test("an image that is not there, not what its digest says, or no program is refused", () => {
  const one = addProgram(s.artifacts, "one");
  const digest = released(s, one);
  appendFileSync(one.path, "more");
  expect(refused(digest)).toBe("artifact.digest");
  rmSync(one.path);
  expect(refused(digest)).toBe("artifact.missing");
  expect(refused(released(s, addProgram(s.artifacts, "", "/etc/passwd")))).toBe("artifact.malformed");
}, 120_000);

test("a rule that was taken out permits nothing", () => {
  const digest = released(s, next);
  expect(deploy(s, digest, "--dry-run")).toMatchObject({ code: 0 });
  newRules(s, 4, { version: "{ min: 1.5.0, max: 1.9.9 }" });
  expect(refused(digest)).toBe("policy.manifest.version");
  expect(last(s, "refused")).toMatchObject({ rule: "web-releases", field: "version" });
}, 60_000);

test("the group that the agent itself runs in is refused, whatever a rule says", async () => {
  newRules(s, 5);
  await s.stopped("SIGTERM");
  // What was started for a group knows its name, and an agent in it would.
  await s.start("/usr/bin/env", "REEVE_GROUP=web");
  expect(refused(released(s, next))).toBe("match.own-group");
}, 120_000);
