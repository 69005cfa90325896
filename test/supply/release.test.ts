import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "../../build/command.ts";
import { CONTROL, type Ran, ran } from "../e2e/world.ts";
import { python } from "../python.ts";
import { requireDebian } from "../tools.ts";

/** The release folder, held to OpenSSL, sha256sum and securesystemslib. The executables' places are held by short files: it is their names that count. */
requireDebian({ openssl: "openssl", sha256sum: "coreutils" });
const NAMES = ["reeve", "reeve.cdx.json", "reeve-control", "reeve-control.cdx.json"];
let folder = "";
let program = "";
const at = (...names: string[]): string => join(folder, ...names);

function release(out: string, ...more: string[]): Ran {
  const words = [join(ROOT, "build/supply/release.ts"), "--from", at("dist"), "--out", at(out), ...more];
  const done = spawnSync(process.execPath, words, { encoding: "utf8", env: toolEnvironment() });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}
function dsse(envelope: string): Ran {
  return ran(program, join(import.meta.dir, "dsse.py"), envelope, at("out/release.pub"));
}
/** What a customer does with a detached signature. */
function verified(name: string, key: string): number | null {
  writeFileSync(at("raw.sig"), Buffer.from(readFileSync(at("out", `${name}.sig`), "utf8"), "base64"));
  const words = [
    "pkeyutl",
    "-verify",
    "-rawin",
    "-pubin",
    "-inkey",
    key,
    "-in",
    at("out", name),
    "-sigfile",
    at("raw.sig"),
  ];
  return ran("openssl", ...words).code;
}

beforeAll(() => {
  program = python(join(import.meta.dir, "requirements.txt"));
  folder = mkdtempSync(join(tmpdir(), "reeve-release-"));
  mkdirSync(at("dist"));
  for (const name of NAMES.filter((one) => one.endsWith(".json")))
    copyFileSync(join(ROOT, "dist", name), at("dist", name));
  for (const name of ["reeve", "reeve-control"]) writeFileSync(at("dist", name), `the executable ${name}\n`);
  writeFileSync(at("dist/SHA256SUMS"), NAMES.map((name) => `${digest(at("dist", name))}  ${name}\n`).join(""));
  for (const name of ["keys", "other"])
    expect(ran(CONTROL, "keys", "init", "--keys", at(name), "--kid", "release-1").code).toBe(0);
  expect(release("out", "--keys", at("keys"))).toMatchObject({ code: 0, stderr: "" });
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const digest = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

test("sha256sum finds every file as SHA256SUMS says", () => {
  const done = spawnSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: at("out"), encoding: "utf8" });
  expect([done.status, done.stdout.match(/: OK$/gm)?.length]).toEqual([0, NAMES.length]);
});

test("OpenSSL verifies each file's signature by the key, and none of another file or by another key", () => {
  for (const name of [...NAMES, "SHA256SUMS"]) expect([name, verified(name, at("out/release.pub"))]).toEqual([name, 0]);
  expect(release("by-other", "--keys", at("other")).code).toBe(0);
  expect(verified("reeve", at("by-other/release.pub"))).not.toBe(0);
  const before = readFileSync(at("out/reeve"));
  writeFileSync(at("out/reeve"), "another executable\n");
  expect(verified("reeve", at("out/release.pub"))).not.toBe(0);
  writeFileSync(at("out/reeve"), before);
});

test("securesystemslib verifies the provenance, which names every file by its digest and what it was built from", () => {
  const read = dsse(at("out/provenance.intoto.json"));
  expect([read.code, read.stderr]).toEqual([0, ""]);
  const said = JSON.parse(read.stdout) as {
    _type: string;
    predicateType: string;
    subject: { name: string; digest: { sha256: string } }[];
    predicate: { buildDefinition: { resolvedDependencies: unknown[] } };
  };
  expect([said._type, said.predicateType]).toEqual([
    "https://in-toto.io/Statement/v1",
    "https://slsa.dev/provenance/v1",
  ]);
  const wanted = NAMES.map((name) => ({ name, digest: { sha256: digest(at("dist", name)) } }));
  expect(said.subject).toEqual(wanted);
  expect(said.predicate.buildDefinition.resolvedDependencies).toContainEqual({
    name: "bun.lock",
    digest: { sha256: digest(join(ROOT, "bun.lock")) },
  });
});

test("a provenance with one digest changed is not verified", () => {
  const written = JSON.parse(readFileSync(at("out/provenance.intoto.json"), "utf8")) as { payload: string };
  const payload = Buffer.from(written.payload, "base64")
    .toString()
    .replace(digest(at("dist/reeve")), "0".repeat(64));
  writeFileSync(at("bad.json"), JSON.stringify({ ...written, payload: Buffer.from(payload).toString("base64") }));
  expect(dsse(at("bad.json"))).toMatchObject({ code: 1, stderr: expect.stringContaining("not verified") });
});

test("the same files and key give the same folder, byte for byte", () => {
  expect(release("again", "--keys", at("keys")).code).toBe(0);
  const names = readdirSync(at("out")).sort();
  expect(names.length).toBe(2 * NAMES.length + 4);
  expect(readdirSync(at("again")).sort()).toEqual(names);
  for (const name of names) expect([name, digest(at("again", name))]).toEqual([name, digest(at("out", name))]);
});

test("without a key, and of a file that is not what its line says, nothing is made", () => {
  expect(release("none")).toMatchObject({ code: 1, stderr: expect.stringContaining("no key is named") });
  const before = readFileSync(at("dist/reeve"));
  writeFileSync(at("dist/reeve"), "exchanged\n");
  expect(release("none", "--keys", at("keys"))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Cannot release reeve"),
  });
  writeFileSync(at("dist/reeve"), before);
  expect(existsSync(at("none"))).toBe(false);
});
