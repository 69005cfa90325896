import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { programPath, requireDebian } from "../tools.ts";

/** Manifests through the compiled executable; their signatures by Go's sumdb/note, their SBOMs by npm. */
const AS = "vendor.example/release-2026";
const DIGEST = `sha256:${"1".repeat(64)}`;
let folder: string;
const at = (name: string): string => join(folder, name);

type Ran = { readonly code: number; readonly out: string; readonly err: string };
function control(...args: string[]): Ran {
  const done = spawnSync(join(ROOT, "dist/reeve-control"), args, {
    encoding: "utf8",
    timeout: 120_000,
    env: { PATH: "/usr/bin:/bin" },
    maxBuffer: 1 << 26,
  });
  return { code: done.status ?? -1, out: done.stdout, err: done.stderr };
}
function good(...args: string[]): string {
  const { code, out, err } = control(...args);
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${err}`);
  return out;
}
const signed = ["--as", AS, "--keys"] as const;

function parameters(name: string, cluster: string, region: string): void {
  const text = `cluster: ${cluster}\nplace: { cloud: aws, account: "111122223333", region: ${region} }\nimages: { broker: ami-0abc }\ngroups: { ${cluster}-brokers: { image: broker, count: 3 } }\nzones: [Z1]\nauthorities: []\nnames: [${cluster}.example.com]\n`;
  writeFileSync(at(name), text);
}

/** An SBOM whose components lie in each other. */
function nested(levels: number): string {
  const component = '{"type":"library","name":"a","components":[';
  return `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[${component.repeat(levels)}${"]}".repeat(levels)}]}`;
}

/** SBOMs of a small project by npm itself. */
function sboms(): void {
  mkdirSync(at("project/node_modules"), { recursive: true });
  for (const name of ["zod", "hono"])
    cpSync(join(ROOT, "node_modules", name), at(`project/node_modules/${name}`), { recursive: true });
  writeFileSync(
    at("project/package.json"),
    JSON.stringify({ name: "app", version: "1.2.3", dependencies: { zod: "*", hono: "*" } }),
  );
  for (const format of ["cyclonedx", "spdx"]) {
    const made = spawnSync("npm", ["sbom", "--sbom-format", format], {
      cwd: at("project"),
      encoding: "utf8",
      timeout: 120_000,
    });
    if (made.status !== 0) throw new Error(made.stderr);
    writeFileSync(at(`${format}.json`), made.stdout);
  }
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "reeve-manifest-"));
  good("keys", "init", "--keys", at("keys"));
  parameters("eu.yaml", "prod-eu-1", "eu-west-1");
  parameters("us.yaml", "prod-us-1", "us-east-1");
  sboms();
  create("a.manifest", "cyclonedx.json");
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function create(name: string, sbom: string): string {
  const flags = ["--image", `broker=${at(sbom)}`, "--digest", `broker=${DIGEST}`, "--parameters", at("eu.yaml")];
  return good(
    "manifest",
    "create",
    ...flags,
    "--says",
    "release 1",
    "--version",
    "4.1.0",
    ...signed,
    at("keys"),
    "--out",
    at(name),
    "--json",
  );
}

describe("a manifest from an SBOM", () => {
  test("is signed so that Go's sumdb/note opens it, and its text is canonical JSON for Go too", () => {
    const GO = "/usr/local/go/bin/go";
    if (!existsSync(GO)) requireDebian({ go: "golang-go" });
    const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
    cpSync(join(import.meta.dir, "go"), at("go"), { recursive: true });
    const built = spawnSync(go, ["build", "-o", at("open"), "."], {
      cwd: at("go"),
      encoding: "utf8",
      timeout: 240_000,
    });
    expect(built.stderr).toBe("");
    const key = good("manifest", "signer", ...signed, at("keys")).trim();
    const opened = spawnSync(at("open"), [key, at("a.manifest")], { encoding: "utf8" });
    const shown = JSON.parse(good("manifest", "show", "--json", at("a.manifest"))) as { digest: string };
    expect(opened.stdout).toBe(`${AS} ${shown.digest.replace("sha256:", "")}\n`);
  }, 300_000);

  test("of CycloneDX and of SPDX is the same", () => {
    const [a, b] = [create("c.manifest", "cyclonedx.json"), create("s.manifest", "spdx.json")].map(
      (text) => JSON.parse(text) as { digest: string; checksum: string },
    );
    expect(b?.digest).toBe(a?.digest as string);
    const packages = good("manifest", "show", "--packages", at("c.manifest"));
    expect(packages).toContain("  pkg:npm/app@1.2.3\n  pkg:npm/hono@");
    expect(packages).toContain("packages: 3 npm");
  });

  test("components without a package URL are named, not dropped in silence; what is no SBOM is refused with the place", () => {
    const bom = JSON.parse(readFileSync(at("cyclonedx.json"), "utf8")) as { components: object[] };
    bom.components.push({ type: "library", name: "handmade", version: "9" }, { type: "file", name: "readme" });
    writeFileSync(at("odd.json"), JSON.stringify(bom));
    const flags = ["--parameters", at("eu.yaml"), "--says", "x", "--version", "4.1.0", ...signed, at("keys")];
    const made = control(
      "manifest",
      "create",
      "--image",
      `broker=${at("odd.json")}`,
      "--digest",
      `broker=${DIGEST}`,
      ...flags,
    );
    expect(made.err).toBe("warning: broker: 1 components have no package URL and are left out: handmade 9\n");
    for (const [text, words] of [
      ["{}", "no SBOM that is known"],
      ["", "not JSON"],
      ['{"bomFormat":"CycloneDX","specVersion":"1.2","components":[]}', "specVersion"],
      ['{"spdxVersion":"SPDX-2.3"}', "packages"],
      [nested(20_000), "it is nested over 256 levels"],
    ] as const) {
      writeFileSync(at("bad.json"), text);
      const refused = control(
        "manifest",
        "create",
        "--image",
        `broker=${at("bad.json")}`,
        "--digest",
        `broker=${DIGEST}`,
        ...flags,
      );
      expect([refused.code, refused.out]).toEqual([3, ""]);
      expect(refused.err).toContain(words);
    }
    const nameless = control("manifest", "create", "--image", `broker=${at("cyclonedx.json")}`, ...flags);
    expect([nameless.code, nameless.err.split("\n")[1]]).toEqual([
      2,
      "hint: Give --digest broker=sha256:… of the image.",
    ]);
  });

  test("parameters that are wrong are refused with line and field", () => {
    for (const [from, to, words] of [
      ["groups:", "grups:", "grups"],
      ["count: 3", "count: -1", "groups.prod-eu-1-brokers.count"],
      ["image: broker", "image: brokr", "groups.prod-eu-1-brokers: of an image not in content"],
      ["zones: [Z1]", "zones: [Z2, Z1]", "zones: in ascending order"],
      ["cluster: prod-eu-1", "cluster: &a prod-eu-1", "line 1"],
    ] as const) {
      writeFileSync(at("wrong.yaml"), readFileSync(at("eu.yaml"), "utf8").replace(from, to));
      const flags = [
        "--image",
        `broker=${at("cyclonedx.json")}`,
        "--digest",
        `broker=${DIGEST}`,
        "--says",
        "x",
        "--version",
        "4.1.0",
      ];
      const refused = control("manifest", "create", ...flags, "--parameters", at("wrong.yaml"), ...signed, at("keys"));
      expect([refused.code, refused.out]).toEqual([3, ""]);
      expect(refused.err).toContain(words);
    }
  });
});

test("of a root file system, what claims to name a package and does not parse is warned of by `create` and `verify`, and is in their JSON", () => {
  mkdirSync(at("torn/node_modules/torn"), { recursive: true });
  writeFileSync(at("torn/node_modules/torn/package.json"), '{"name":"torn","ver');
  const flags = ["--parameters", at("eu.yaml"), "--says", "x", "--version", "4.1.0", ...signed, at("keys")];
  const image = ["--image", `broker=${at("torn")}`];
  const made = control("manifest", "create", ...image, ...flags, "--out", at("torn.manifest"), "--json");
  const why = "it is no JSON with the name and the version of a package";
  const path = "node_modules/torn/package.json";
  const warning = `warning: broker: ${path} does not say which package it is of: ${why}\n`;
  expect([made.code, made.err]).toEqual([0, warning]);
  expect(JSON.parse(made.out)).toMatchObject({ unread: [{ image: "broker", path, why }] });
  const key = good("manifest", "signer", ...signed, at("keys")).trim();
  const root = ["--signer-verifier", key, "--root", `broker=${at("torn")}`, "--json"];
  const held = control("manifest", "verify", at("torn.manifest"), ...root);
  expect([held.code, held.err]).toEqual([0, warning]);
  expect(JSON.parse(held.out)).toMatchObject({ roots: [{ same: true, unread: [{ path, why }] }] });
});

describe("two manifests", () => {
  test("a copy elsewhere has the same checksum, and `diff` says which parameters are its own", () => {
    good(
      "manifest",
      "copy",
      at("a.manifest"),
      "--parameters",
      at("us.yaml"),
      ...signed,
      at("keys"),
      "--out",
      at("b.manifest"),
    );
    const same = control("manifest", "diff", at("a.manifest"), at("b.manifest"));
    expect(same.code).toBe(0);
    expect(same.out).toContain('parameter place.region: "eu-west-1" -> "us-east-1"\n');
    expect(same.out).toMatch(/the same content: sha256:[0-9a-f]{64}\n$/);
  });

  test("a library of another version is named, and the exit code says that they differ", () => {
    writeFileSync(
      at("new.json"),
      readFileSync(at("cyclonedx.json"), "utf8").replace(/pkg:npm\/hono@[\d.]+/, "pkg:npm/hono@5.0.0"),
    );
    create("new.manifest", "new.json");
    const other = control("manifest", "diff", "--json", at("a.manifest"), at("new.manifest"));
    const { images } = JSON.parse(other.out) as { images: object[] };
    const { version } = JSON.parse(readFileSync(join(ROOT, "node_modules/hono/package.json"), "utf8")) as {
      version: string;
    };
    expect(other.code).toBe(1);
    expect(images).toEqual([
      {
        image: "broker",
        from: DIGEST,
        to: DIGEST,
        files: null,
        packages: [{ package: "pkg:npm/hono", from: [version], to: ["5.0.0"] }],
      },
    ]);
    expect(control("manifest", "diff", at("a.manifest"), at("new.manifest")).out).toContain(
      `~ pkg:npm/hono ${version} -> 5.0.0\n`,
    );
  });
});

describe("verify", () => {
  test("is yes for the signer's key alone, and no for another's", () => {
    const key = good("manifest", "signer", ...signed, at("keys")).trim();
    expect(control("manifest", "verify", at("a.manifest"), "--signer-verifier", key)).toMatchObject({
      code: 0,
      out: `signed by ${AS}\n`,
    });
    good("keys", "init", "--keys", at("others"));
    const other = good("manifest", "signer", ...signed, at("others")).trim();
    const no = control("manifest", "verify", at("a.manifest"), "--signer-verifier", other);
    expect([no.code, no.out]).toEqual([1, "signed by none of these signers\n"]);
    expect(control("manifest", "verify", at("a.manifest"), "--signer-verifier", "nonsense").code).toBe(2);
  });

  test("no byte of a manifest can be changed", () => {
    const key = good("manifest", "signer", ...signed, at("keys")).trim();
    const note = readFileSync(at("a.manifest"));
    for (let index = 0; index < note.length; index += Math.max(1, Math.floor(note.length / 40))) {
      const changed = Buffer.from(note);
      changed[index] = (changed[index] ?? 0) ^ 1;
      writeFileSync(at("changed.manifest"), changed);
      const { code } = control("manifest", "verify", at("changed.manifest"), "--signer-verifier", key);
      expect([1, 3]).toContain(code);
    }
  }, 120_000);

  test("a root file system is held to it: which library, and which file", () => {
    mkdirSync(at("root/app/node_modules"), { recursive: true });
    mkdirSync(at("lists"));
    cpSync(at("project/node_modules/zod"), at("root/app/node_modules/zod"), { recursive: true });
    const flags = [
      "--image",
      `broker=${at("root")}`,
      "--files",
      at("lists"),
      "--parameters",
      at("eu.yaml"),
      "--says",
      "x",
      "--version",
      "4.1.0",
    ];
    good("manifest", "create", ...flags, ...signed, at("keys"), "--out", at("root.manifest"));
    const key = good("manifest", "signer", ...signed, at("keys")).trim();
    const verify = (): Ran =>
      control(
        "manifest",
        "verify",
        at("root.manifest"),
        "--signer-verifier",
        key,
        "--root",
        `broker=${at("root")}`,
        "--files",
        at("lists"),
      );
    expect(verify()).toMatchObject({ code: 0, out: `signed by ${AS}\nbroker is what it says\n` });
    const file = at("root/app/node_modules/zod/package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[\d.]+"/, '"version": "9.9.9"'));
    writeFileSync(at("root/app/left-behind"), "x");
    const changed = verify();
    expect(changed.code).toBe(1);
    expect(changed.out).toMatch(
      /~ pkg:npm\/zod [\d.]+ -> 9\.9\.9\n {2}file \+ app\/left-behind\n {2}file ~ app\/node_modules\/zod\/package.json\n$/,
    );
    writeFileSync(at("lists/broker.mtree"), "");
    expect(verify()).toMatchObject({ code: 3 });
  });

  const verifyRoot = (manifest: string, ...flags: string[]): Ran => {
    const key = good("manifest", "signer", ...signed, at("keys")).trim();
    return control("manifest", "verify", at(manifest), "--signer-verifier", key, "--root", ...flags);
  };
  /** The project as npm's SBOM has it, as a root file system. */
  function projectRoot(name: string): string {
    mkdirSync(at(`${name}/node_modules`), { recursive: true });
    cpSync(at("project"), at(`${name}/node_modules/app`), { recursive: true });
    return at(name);
  }
  const UNCOMPARED = "its files were not compared: the manifest holds no list of them (an SBOM has none)";

  test("a root file system is held to a manifest made from an SBOM by its libraries alone, and it says so", () => {
    const folder = projectRoot("sbom-root");
    const same = verifyRoot("a.manifest", `broker=${folder}`);
    expect(same).toMatchObject({
      code: 0,
      out: `signed by ${AS}\nbroker has the libraries that it says\n  ${UNCOMPARED}\n`,
    });
    const json = JSON.parse(verifyRoot("a.manifest", `broker=${folder}`, "--json").out) as { roots: object[] };
    expect(json).toMatchObject({
      holds: true,
      roots: [{ same: true, packages: [], same_files: null, uncompared: UNCOMPARED.split(": ")[1] }],
    });
    const file = join(folder, "node_modules/app/node_modules/zod/package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[\d.]+"/, '"version": "9.9.9"'));
    const other = verifyRoot("a.manifest", `broker=${folder}`);
    expect([other.code, other.out]).toEqual([
      1,
      expect.stringMatching(
        /\nbroker is not what it says: it has other libraries\n {2}its files were not compared: .*\n {2}~ pkg:npm\/zod [\d.]+ -> 9\.9\.9\n$/,
      ),
    ]);
    // The manifest holds no list, whatever lies in the folder.
    mkdirSync(at("stray"));
    writeFileSync(at("stray/broker.mtree"), "");
    expect(verifyRoot("a.manifest", `broker=${folder}`, "--files", at("stray"))).toMatchObject({
      code: 1,
      out: other.out,
    });
  });

  test("files are compared too where --digest names other bytes, with and without their list at hand", () => {
    const folder = projectRoot("program-root");
    mkdirSync(at("program-lists"));
    const image = ["--image", `broker=${folder}`, "--digest", `broker=${DIGEST}`, "--files", at("program-lists")];
    const flags = ["--parameters", at("eu.yaml"), "--says", "x", "--version", "4.1.0"];
    good("manifest", "create", ...image, ...flags, ...signed, at("keys"), "--out", at("program.manifest"));
    const shown = JSON.parse(good("manifest", "show", "--json", at("program.manifest"))) as {
      content: { images: { digest: string; files: string }[] };
    };
    const [held] = shown.content.images;
    expect(held).toMatchObject({ digest: DIGEST, files: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
    expect(verifyRoot("program.manifest", `broker=${folder}`)).toMatchObject({
      code: 0,
      out: `signed by ${AS}\nbroker is what it says\n`,
    });
    writeFileSync(join(folder, "left-behind"), "x");
    const unnamed = verifyRoot("program.manifest", `broker=${folder}`);
    expect([unnamed.code, unnamed.out]).toEqual([
      1,
      expect.stringMatching(/\nbroker is not what it says: its files have sha256:[0-9a-f]{64}\n {2}give --files, /),
    ]);
    const named = verifyRoot("program.manifest", `broker=${folder}`, "--files", at("program-lists"));
    expect([named.code, named.out]).toEqual([1, expect.stringMatching(/\n {2}file \+ left-behind\n$/)]);
    const file = join(folder, "node_modules/app/node_modules/zod/package.json");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"version": "[\d.]+"/, '"version": "9.9.9"'));
    expect(verifyRoot("program.manifest", `broker=${folder}`).out).toMatch(
      /: it has other libraries, and its files have .*\n {2}~ pkg:npm\/zod [\d.]+ -> 9\.9\.9\n/,
    );
    rmSync(at("program-lists/broker.mtree"));
    expect(verifyRoot("program.manifest", `broker=${folder}`, "--files", at("program-lists"))).toMatchObject({
      code: 4,
      err: expect.stringContaining("broker.mtree"),
    });
  });

  test("of two manifests whose images differ in files alone `diff` names the lists", () => {
    const folder = projectRoot("moved-root");
    const flags = ["--parameters", at("eu.yaml"), "--says", "x", "--version", "4.1.0", ...signed, at("keys")];
    const create = (name: string): string =>
      good(
        "manifest",
        "create",
        "--image",
        `broker=${folder}`,
        "--digest",
        `broker=${DIGEST}`,
        ...flags,
        "--out",
        at(name),
      );
    create("one.manifest");
    writeFileSync(join(folder, "left-behind"), "x");
    create("two.manifest");
    const { code, out } = control("manifest", "diff", at("one.manifest"), at("two.manifest"));
    expect([code, out]).toEqual([
      1,
      expect.stringMatching(/^image broker: .*\n {2}files: sha256:[0-9a-f]{64} -> sha256:[0-9a-f]{64}\nchecksums /),
    ]);
    const none = control("manifest", "diff", at("a.manifest"), at("two.manifest"));
    expect(none.out).toMatch(/\n {2}files: no list -> sha256:[0-9a-f]{64}\n/);
  });
});

describe("send … deploy", () => {
  const send = (manifest: string, cluster = "prod-eu-1", group = "prod-eu-1-brokers"): Ran =>
    control(
      ...["send", "--dir", at("nowhere"), "--cluster", cluster, "deploy", "--group", group, "--manifest", manifest],
    );

  test("a manifest of another cluster, or that does not name the group or where its image lies, is refused before anything is signed", () => {
    const other = send(at("a.manifest"), "prod-us-1");
    expect([other.code, other.err]).toEqual([
      1,
      "error: Cannot deploy it to prod-eu-1-brokers of prod-us-1: the manifest is of the cluster prod-eu-1.\nhint: `manifest copy` makes this cluster's own.\n",
    ]);
    const unnamed = send(at("a.manifest"), "prod-eu-1", "others");
    expect([unnamed.code, unnamed.err.split("\n")[0]]).toEqual([
      1,
      "error: Cannot deploy it to others of prod-eu-1: the manifest does not name the group; it names prod-eu-1-brokers.",
    ]);
    writeFileSync(at("nowhere.yaml"), readFileSync(at("eu.yaml"), "utf8").replace("{ broker: ami-0abc }", "{}"));
    good(
      "manifest",
      "copy",
      at("a.manifest"),
      "--parameters",
      at("nowhere.yaml"),
      ...signed,
      at("keys"),
      "--out",
      at("n"),
    );
    const unplaced = send(at("n"));
    expect([unplaced.code, unplaced.err]).toEqual([1, expect.stringContaining("where the image broker lies there")]);
    for (const { err } of [other, unnamed, unplaced]) expect(err).not.toContain("manifest sha256:");
  });

  test("what is deployed is shown with its digest before it is signed; a digest alone is taken as it is", () => {
    const { digest } = JSON.parse(good("manifest", "show", "--json", at("a.manifest"))) as { digest: string };
    const shown = send(at("a.manifest"));
    expect(shown.err.split("\n")[0]).toBe(
      `manifest ${digest}, version 4.1.0 (release 1), of prod-eu-1, signed by ${AS}`,
    );
    // There is no such control plane: that is what both end with.
    const alone = send(digest);
    expect([shown.code, alone.code]).toEqual([2, 2]);
    expect(alone.err).not.toContain("manifest sha256:");
    expect(shown.err).toEndWith(alone.err);
  });

  test("what is neither digest nor manifest is refused", () => {
    expect(send("sha256:12")).toMatchObject({ code: 2, err: expect.stringContaining("it is no digest") });
    expect(send(at("missing"))).toMatchObject({ code: 4, err: expect.stringContaining("cannot be read (ENOENT)") });
    expect(send(at("eu.yaml"))).toMatchObject({ code: 3, err: expect.stringContaining("no signed note") });
  });
});

test("a manifest has a version of three numbers, which `create` asks for; the executable's own is still told", () => {
  const flags = ["--image", `broker=${at("cyclonedx.json")}`, "--digest", `broker=${DIGEST}`, "--says", "x"];
  const rest = ["--parameters", at("eu.yaml"), ...signed, at("keys")];
  expect(control("manifest", "create", ...flags, ...rest)).toMatchObject({
    code: 2,
    err: expect.stringContaining("--version"),
  });
  for (const version of ["4.1", "04.1.0", "4.1.0-rc1", "v4.1.0", "4.1.1000000"])
    expect([version, control("manifest", "create", ...flags, "--version", version, ...rest).code]).toEqual([
      version,
      2,
    ]);
  const made = JSON.parse(good("manifest", "show", "--json", at("a.manifest"))) as { content: { version: string } };
  expect(made.content.version).toBe("4.1.0");
  expect(good("--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test("the control plane knows who holds a library, since when, and what a cluster had", async () => {
  const dir = at("control");
  mkdirSync(dir);
  (await openSqlite(join(dir, "state.db"))).close();
  const asked = (...args: string[]): Ran => control("manifest", "holds", "--dir", dir, ...args);
  expect(asked("hono")).toMatchObject({ code: 1, out: "no cluster\n" });
  const begin = new Date(Date.now() - 60_000).toISOString().replace(/\.\d+Z/, "Z");
  for (const name of ["a.manifest", "b.manifest", "b.manifest", "new.manifest"])
    good("manifest", "import", at(name), "--dir", dir, "--by", "maria", "--why", name);
  const { version } = JSON.parse(readFileSync(join(ROOT, "node_modules/hono/package.json"), "utf8")) as {
    version: string;
  };
  expect(asked("hono", version).out).toMatch(/\nprod-us-1 +broker +pkg:npm\/hono@[\d.]+\n1 cluster\n$/);
  expect(asked("hono", "5.0.0").out).toMatch(/\nprod-eu-1 +broker/);
  expect(asked("ho*").out).toEndWith("2 clusters\n");
  expect(asked("hon").code).toBe(1);
  const line = good("fleet", "history", "prod-eu-1", "--dir", dir).split("\n");
  expect(line.slice(1, 3).map((row) => row.split(/ +/).slice(-3))).toEqual([
    ["-", "maria", "new.manifest"],
    ["-", "maria", "a.manifest"],
  ]);
  expect(control("manifest", "at", begin, "--cluster", "prod-eu-1", "--dir", dir).code).toBe(1);
  const now = new Date(Date.now() + 60_000).toISOString().replace(/\.\d+Z/, "Z");
  expect(good("manifest", "at", now, "--cluster", "prod-eu-1", "--dir", dir, "--note")).toBe(
    readFileSync(at("new.manifest"), "utf8"),
  );
  type At = { revision: { digest: string }; checksum: string; state: object; manifest: Record<string, unknown> };
  const whole = JSON.parse(good("manifest", "at", now, "--cluster", "prod-eu-1", "--dir", dir, "--json")) as At;
  const {
    signers: _,
    digest,
    checksum,
    ...document
  } = JSON.parse(good("manifest", "show", "--json", at("new.manifest"))) as Record<string, unknown>;
  expect(whole).toMatchObject({
    revision: { digest },
    checksum,
    state: { groups: { "prod-eu-1-brokers": { count: 3 } } },
  });
  expect(whole.manifest).toEqual(document);
  expect(JSON.stringify(whole.manifest)).toContain('"pkg:npm/hono@5.0.0"');
  expect(control("manifest", "at", "yesterday", "--cluster", "prod-eu-1", "--dir", dir).code).toBe(2);
});
