import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { lockOfRoot } from "../../build/supply/lock.ts";
import { type Component, placesIn, sbomOf } from "../../build/supply/sbom.ts";
import { justified } from "../../build/trust-path.ts";
import { CONTROL, ran } from "../e2e/world.ts";
import { python } from "../python.ts";

/** The SBOMs that the build made beside the executables. Their form by CycloneDX's own library. */
const BOTH = ["reeve", "reeve-control"] as const;
const fileOf = (name: string): string => join(ROOT, "dist", `${name}.cdx.json`);
type Bom = { readonly components: readonly Component[] };
const bomOf = (name: string): Bom => JSON.parse(readFileSync(fileOf(name), "utf8")) as Bom;
const named = (name: string): string[] =>
  bomOf(name)
    .components.map((one) => `${one.name} ${one.version}`)
    .sort();
let folder = "";
let program = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-sbom-"));
  program = python(join(import.meta.dir, "requirements.txt"));
}, 600_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function validated(...files: string[]): { code: number | null; said: string } {
  const words = [join(import.meta.dir, "validate.py"), ...files];
  const done = spawnSync(program, words, { encoding: "utf8", env: { PATH: "/usr/bin:/bin" } });
  return { code: done.status, said: `${done.stdout}${done.stderr}` };
}

test("each SBOM is of the published schema of CycloneDX 1.6, and another document is not", () => {
  expect(validated(...BOTH.map(fileOf))).toEqual({ code: 0, said: "" });
  const bad = join(folder, "bad.json");
  writeFileSync(bad, readFileSync(fileOf("reeve"), "utf8").replaceAll('"id": "MIT"', '"id": "Mit"'));
  expect(validated(bad).code).toBe(1);
});

test("every package of the trust path is in the agent's, and beside them only Bun, what reads the command line and what its page uses", () => {
  const rows = [
    ...readFileSync(join(ROOT, "docs/TRUST-PATH.md"), "utf8").matchAll(/^\| ([a-z@][^|]*) \| ([^ |]+) \| \d+ \|/gm),
  ];
  const path = rows.map(([, name, version]) => `${name} ${version}`);
  expect(path.length).toBeGreaterThan(100);
  const own = "@aws-sdk/credential-provider-node 3.0.0";
  const wanted = path.map((one) => (one === own ? "reeve-no-default-chain 3.0.0" : one));
  const versions = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const beside = ["@noble/hashes", "commander", "hono"].map((name) => `${name} ${versions.dependencies[name]}`);
  expect(named("reeve")).toEqual([...wanted, ...beside, `bun ${Bun.version}`].sort());
});

test("whatever is in an executable is justified in docs/DEPENDENCIES.md", () => {
  const rows = justified(readFileSync(join(ROOT, "docs/DEPENDENCIES.md"), "utf8"));
  for (const name of BOTH) {
    expect(named(name).length).toBeGreaterThan(20);
    expect(named(name).filter((one) => !rows.has(one) && !/^(?:bun|reeve-no-default-chain) /.test(one))).toEqual([]);
  }
});

test("each component from the registry has the SHA-512 that bun.lock pins, and its licence", () => {
  const pinned = new Set(
    [...lockOfRoot().packages.values()].map(({ name, version, integrity }) => `${name} ${version} ${integrity}`),
  );
  for (const name of BOTH)
    for (const one of bomOf(name).components) {
      expect([one.purl, one.licenses.length]).toEqual([one.purl, 1]);
      if (/^(?:bun|reeve-no-default-chain)$/.test(one.name)) continue;
      const digest = Buffer.from(one.hashes?.[0]?.content ?? "", "hex").toString("base64");
      expect([one.purl, pinned.has(`${one.name} ${one.version} sha512-${digest}`)]).toEqual([one.purl, true]);
    }
});

test("what the bundler left nothing of is not in it; what bun.lock does not pin cannot be", () => {
  const inputs = {
    "node_modules/jose/dist/a.js": { bytesInOutput: 10 },
    "node_modules/yaml/dist/b.js": { bytesInOutput: 0 },
    "agent/start.ts": { bytesInOutput: 10 },
  };
  expect(placesIn({ outputs: { out: { inputs } } })).toEqual(["jose"]);
  expect(() => sbomOf("reeve", "1.0.0", ["planted"], lockOfRoot())).toThrow("not in bun.lock");
});

test("SHA256SUMS names each SBOM beside its executable", () => {
  const sums = readFileSync(join(ROOT, "dist/SHA256SUMS"), "utf8");
  for (const name of BOTH) {
    const digest = createHash("sha256")
      .update(readFileSync(fileOf(name)))
      .digest("hex");
    expect(sums).toContain(`${digest}  ${name}.cdx.json\n`);
  }
});

test("reeve-control makes a manifest of it that holds each component and passes none over", () => {
  const at = (name: string): string => join(folder, name);
  expect(ran(CONTROL, "keys", "init", "--keys", at("keys")).code).toBe(0);
  writeFileSync(
    at("eu.yaml"),
    'cluster: prod-eu-1\nplace: { cloud: aws, account: "111122223333", region: eu-west-1 }\nimages: { reeve: ami-0abc }\ngroups: { prod-eu-1-brokers: { image: reeve, count: 1 } }\nzones: [Z1]\nauthorities: []\nnames: [prod-eu-1.example.com]\n',
  );
  const image = ["--image", `reeve=${fileOf("reeve")}`, "--digest", `reeve=sha256:${"1".repeat(64)}`];
  const words = [
    "--parameters",
    at("eu.yaml"),
    "--version",
    "1.0.0",
    "--says",
    "release 1",
    "--as",
    "vendor.example/release-2026",
  ];
  const made = ran(CONTROL, "manifest", "create", ...image, ...words, "--keys", at("keys"), "--out", at("m"));
  expect([made.code, made.stderr]).toEqual([0, expect.not.stringContaining("left out")]);
  const shown = ran(CONTROL, "manifest", "show", at("m"), "--packages").stdout;
  const purls = bomOf("reeve").components.map(({ purl }) => purl);
  expect(purls.filter((purl) => !shown.includes(purl))).toEqual([]);
});
