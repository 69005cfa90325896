import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { ROOT } from "../../build/command.ts";
import { rustCrates } from "../../control/manifest/rootfs/languages.ts";
import { type Scan, scanRoot } from "../../control/manifest/rootfs/scan.ts";
import { programPath, requireDebian } from "../tools.ts";

/** What a root file system holds, against what each package manager says of it by itself. */
const GO = "/usr/local/go/bin/go";
/** Built by the real tool, once; README.md there says how. */
const RUST = join(ROOT, "test/manifest/rust");
const SITE = "usr/lib/python3/site-packages";
/** Three of them with names that PyPI spells otherwise than it finds them by. */
const WHEELS = ["six==1.17.0", "typing_extensions==4.12.2", "Jinja2==3.1.4", "zope.event==5.0"];
const PIP = "/usr/bin/pip3";
const PIP_ALONE = { env: { PATH: "/usr/bin:/bin", PIP_DISABLE_PIP_VERSION_CHECK: "1" } };
let root: string;
let found: Scan;

function ran(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
  const done = spawnSync(command, [...args], { encoding: "utf8", maxBuffer: 1 << 26, timeout: 240_000, ...options });
  if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.error ?? done.stderr}`);
  return done.stdout;
}
const of = (type: string): string[] => found.packages.filter((purl) => purl.startsWith(`pkg:${type}/`));

beforeAll(() => {
  requireDebian({ rpm: "rpm", "/usr/bin/rpmbuild": "rpm" });
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  root = mkdtempSync(join(tmpdir(), "reeve-root-"));
  for (const folder of ["etc", "var/lib/dpkg", "app/node_modules", "usr/bin", "proc/1", "a", "a-b"])
    mkdirSync(join(root, folder), { recursive: true });
  cpSync("/etc/os-release", join(root, "etc/os-release"), { dereference: true });
  cpSync("/var/lib/dpkg/status", join(root, "var/lib/dpkg/status"));
  for (const name of ["zod", "hono", "@hono/node-server"])
    cpSync(join(ROOT, "node_modules", name), join(root, "app/node_modules", name), { recursive: true });
  const dependencies = { zod: "*", hono: "*", "@hono/node-server": "*" };
  writeFileSync(join(root, "app/package.json"), JSON.stringify({ name: "app", version: "1.0.0", dependencies }));
  writeFileSync(join(root, "proc/1/environ"), "SECRET=1");
  writeFileSync(join(root, "a/x"), "1");
  writeFileSync(join(root, "a-b/x"), "2");
  symlinkSync("/etc/passwd", join(root, "etc/passwd"));
  symlinkSync("/", join(root, "everything"));
  goProgram();
  rpmDatabase();
  pipPackages();
  cpSync(join(RUST, "program.elf"), join(root, "usr/bin/program"));
  found = scanRoot(root);
}, 600_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

function goProgram(): void {
  const folder = mkdtempSync(join(tmpdir(), "reeve-go-"));
  cpSync(join(ROOT, "test/audit/go"), folder, { recursive: true });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  ran(go, ["build", "-o", join(root, "usr/bin/check"), "."], {
    cwd: folder,
    env: { ...process.env, CGO_ENABLED: "0" },
  });
  rmSync(folder, { recursive: true });
}

/** A package made here by rpmbuild, installed into the root by rpm. */
function rpmDatabase(): void {
  const folder = mkdtempSync(join(tmpdir(), "reeve-rpm-"));
  const spec =
    "Name: tool\nEpoch: 2\nVersion: 1.5\nRelease: 3\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\nx\n%files\n";
  writeFileSync(join(folder, "tool.spec"), spec);
  ran("rpmbuild", ["-bb", "--define", `_topdir ${folder}`, join(folder, "tool.spec")]);
  const dbpath = join(root, "var/lib/rpm");
  ran("rpm", ["--dbpath", dbpath, "--initdb"]);
  const file = join(folder, "RPMS/noarch/tool-1.5-3.noarch.rpm");
  ran("rpm", ["--dbpath", dbpath, "--nodeps", "--justdb", "-i", file]);
  rmSync(folder, { recursive: true });
}

/** Wheels of PyPI without what they need: what is compared is what lies there. */
function pipPackages(): void {
  requireDebian({ [PIP]: "python3-pip" });
  ran(PIP, ["install", "--quiet", "--no-deps", "--target", join(root, SITE), ...WHEELS]);
}

describe("a root file system", () => {
  test("its Debian packages are those that dpkg-query says are installed", () => {
    const fields = ["Package", "Version", "Architecture", "db:Status-Status"].map((name) => `\${${name}}`);
    const said = ran("dpkg-query", [`--admindir=${join(root, "var/lib/dpkg")}`, "-W", "-f", `${fields.join(" ")}\n`]);
    const installed = said.split("\n").filter((line) => line.endsWith(" installed"));
    const shown = installed.map((line) => {
      const [name, version, arch] = line.split(" ");
      return `pkg:deb/debian/${name}@${version}?arch=${arch}`;
    });
    expect(shown.length).toBeGreaterThan(100);
    expect(of("deb").map(decodeURIComponent).sort()).toEqual(shown.sort());
  });

  test("a Go program's modules are those that `go version -m` says, with the release of Go", () => {
    const said = ran(existsSync(GO) ? GO : "go", ["version", "-m", join(root, "usr/bin/check")]);
    const modules = [...said.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)].map(
      ([, name, version]) => `pkg:golang/${name}@${version}`,
    );
    const release = /: go(\S+)/.exec(said)?.[1];
    expect(modules.length).toBeGreaterThan(0);
    expect(of("golang")).toEqual([...modules, `pkg:golang/stdlib@${release}`].sort());
  });

  test("npm's packages are those that npm lists, with their scopes", () => {
    const said = JSON.parse(ran("npm", ["ls", "--json", "--all", "--prefix", join(root, "app")], {})) as {
      dependencies: Record<string, { version: string }>;
    };
    const listed = Object.entries(said.dependencies).map(
      ([name, { version }]) => `pkg:npm/${name.replace("@", "%40")}@${version}`,
    );
    expect(listed.length).toBe(3);
    expect(of("npm")).toEqual(listed.sort());
  });

  test("RPM's packages are those of its database, with epoch and architecture", () => {
    expect(of("rpm")).toEqual(["pkg:rpm/debian/tool@1.5-3?arch=noarch&epoch=2"]);
  });

  test("its list is what libarchive's mtree says of everything in it, and its digest is of that list", () => {
    requireDebian({ bsdtar: "libarchive-tools" });
    const options = ["--format=mtree", "--options=!all,type,mode,uid,gid,link,sha256"];
    const said = ran("bsdtar", ["-cf", "-", ...options, "-C", root, "."]);
    expect(said).toContain("sha256digest=");
    expect(tokens(found.list)).toEqual(tokens(said).filter(([path]) => path !== "."));
    expect(found.digest).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(found.list).digest("hex")}`);
  });

  test("whatever is changed in it changes its digest: where a link leads, modes, owners, folders, what lies in tmp, names that pretend", () => {
    const folder = mkdtempSync(join(tmpdir(), "reeve-hostile-"));
    const begin = (): void => {
      rmSync(folder, { recursive: true, force: true });
      for (const name of ["bin", "tmp"]) mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, "bin/dash"), "dash");
      writeFileSync(join(folder, "bin/guard"), "guard");
      symlinkSync("dash", join(folder, "bin/sh"));
    };
    const changes: readonly (readonly [string, () => void])[] = [
      [
        "a link leads elsewhere",
        () => {
          rmSync(join(folder, "bin/sh"));
          symlinkSync("/tmp/evil", join(folder, "bin/sh"));
        },
      ],
      ["set-uid", () => chmodSync(join(folder, "bin/dash"), 0o4755)],
      ["another owner", () => chownSync(join(folder, "bin/dash"), 1, 1)],
      ["something in tmp", () => writeFileSync(join(folder, "tmp/x"), "")],
      ["an empty folder", () => mkdirSync(join(folder, "etc"))],
      ["a pipe", () => ran("mkfifo", [join(folder, "pipe")])],
      [
        "one name that reads as two files",
        () => {
          const lines = scanRoot(folder).list.split("\n");
          const [dash, guard] = ["dash", "guard"].map(
            (name) => lines.find((line) => line.startsWith(`./bin/${name} `)) ?? "",
          );
          for (const name of ["dash", "guard"]) rmSync(join(folder, "bin", name));
          const pretends = `dash${dash?.slice("./bin/dash".length)}\n${guard?.split(" ")[0]}`.replaceAll("/", "_");
          writeFileSync(join(folder, "bin", pretends), "guard");
        },
      ],
    ];
    begin();
    const before = scanRoot(folder).digest;
    begin();
    expect(scanRoot(folder).digest).toBe(before);
    for (const [what, change] of changes) {
      begin();
      change();
      expect([what, scanRoot(folder).digest === before]).toEqual([what, false]);
    }
    rmSync(folder, { recursive: true });
  });

  test("a hostile root leads nothing out of it, holds nothing up, and hides no package", () => {
    const folder = mkdtempSync(join(tmpdir(), "reeve-hostile-"));
    const outside = mkdtempSync(join(tmpdir(), "reeve-outside-"));
    cpSync(join(root, "var/lib/rpm"), outside, { recursive: true });
    const held = (): string => ran("bash", ["-euc", "ls; cat *"], { cwd: outside });
    const before = held();
    mkdirSync(join(folder, "var/lib"), { recursive: true });
    symlinkSync(outside, join(folder, "var/lib/rpm"));
    expect(scanRoot(folder).packages).toEqual([]);
    expect(held()).toBe(before);
    rmSync(join(folder, "var/lib/rpm"));
    mkdirSync(join(folder, "var/lib/rpm"));
    ran("mkfifo", [join(folder, "var/lib/rpm/rpmdb.sqlite")]);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a])]), "x");
    expect(scanRoot(folder)).toMatchObject({ packages: [], list: expect.stringContaining("./\\377\\012 type=file ") });
    mkdirSync(join(folder, "node_modules/x"), { recursive: true });
    writeFileSync(join(folder, "node_modules/x/package.json"), '{"name":"x","version":"\\ud800"}');
    expect(() => scanRoot(folder)).toThrow("Cannot look into node_modules/x/package.json: what it names is no package");
    expect(() => scanRoot(join(folder, "nowhere"))).toThrow("it is no folder");
    for (const one of [folder, outside]) rmSync(one, { recursive: true });
  });

  test("pip's packages are those that pip lists of what it installed", () => {
    const folder = join(root, SITE);
    const said = JSON.parse(ran(PIP, ["list", "--path", folder, "--format", "json"], PIP_ALONE)) as {
      name: string;
      version: string;
    }[];
    // Which spellings are one name is the word of PyPA's own packaging, which pip has in it.
    const one =
      "import sys; from pip._vendor.packaging.utils import canonicalize_name as c; [print(c(n)) for n in sys.argv[1:]]";
    const names = ran("/usr/bin/python3", ["-c", one, ...said.map(({ name }) => name)]).split("\n");
    const listed = said.map(({ version }, at) => `pkg:pypi/${names[at]}@${version}`);
    expect(listed.length).toBe(WHEELS.length);
    expect(of("pypi")).toEqual(listed.sort());
  });

  test("a Rust program's crates are those that cargo says are in it, by cargo-auditable's own build", () => {
    const listed = readFileSync(join(RUST, "tree.txt"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([name, version]) => `pkg:cargo/${name}@${version?.slice(1)}`);
    expect(listed.map((purl) => purl.split(/[/@]/)[1])).toEqual(
      expect.arrayContaining(["program", "left", "deep", "itoa"]),
    );
    expect(of("cargo")).toEqual([...new Set(listed)].sort());
  });

  test("in a section as objcopy writes it: what builds a crate is not in it, and what is no such list is told", () => {
    const list = {
      packages: [
        { name: "ring", version: "0.17.8" },
        { name: "cc", version: "1.0.0", kind: "build" },
      ],
    };
    const good = elf(".dep-v0", deflateSync(Buffer.from(JSON.stringify(list))));
    expect(rustCrates(good)).toEqual({ purls: ["pkg:cargo/ring@0.17.8"] });
    for (const bad of [Buffer.from("no zlib"), deflateSync("no JSON"), deflateSync('{"packages":[{"name":"x"}]}')])
      expect(rustCrates(elf(".dep-v0", bad))).toEqual({
        unread: "its section .dep-v0 is not what cargo-auditable writes",
      });
    expect(rustCrates(elf(".other", Buffer.from("x")))).toEqual({ purls: [] });
    for (const length of [0, 3, 63, 64, good.length - 1])
      expect(rustCrates(good.subarray(0, length))).toEqual({ purls: [] });
  });

  test("what claims to name a package and does not parse is told with its file", () => {
    expect(found.unread).toEqual([]);
    const folder = mkdtempSync(join(tmpdir(), "reeve-unread-"));
    const put = (path: string, text: string | Buffer): void => {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), text, { mode: 0o755 });
    };
    put("node_modules/torn/package.json", '{"name":"torn","ver');
    put("node_modules/bare/package.json", '{"name":"bare"}');
    put("node_modules/odd/package.json", '{"name":"a/b/c","version":"1.0.0"}');
    put("node_modules/größe/package.json", "");
    put("site/torn-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: torn\n");
    put("site/old.egg-info/PKG-INFO", "");
    put("bin/torn", elf(".dep-v0", Buffer.from("no zlib")));
    put(
      "var/lib/dpkg/status",
      "Package: a\nStatus: install ok installed\n\nPackage: gone\nStatus: deinstall ok config-files\n",
    );
    put("var/lib/dpkg/status.d/torn", "Version: 1\n\n\n");
    put("node_modules/good/package.json", '{"name":"good","version":"1.0.0"}');
    const { packages, unread } = scanRoot(folder);
    expect(packages).toEqual(["pkg:npm/good@1.0.0"]);
    const json = "it is no JSON with the name and the version of a package";
    const core = "it has no Name and Version of a package";
    expect(Object.fromEntries(unread.map(({ path, why }) => [path, why]))).toEqual({
      "bin/torn": "its section .dep-v0 is not what cargo-auditable writes",
      "node_modules/bare/package.json": json,
      "node_modules/größe/package.json": json,
      "node_modules/odd/package.json": json,
      "node_modules/torn/package.json": json,
      "site/old.egg-info/PKG-INFO": core,
      "site/torn-1.0.dist-info/METADATA": core,
      "var/lib/dpkg/status": "it has a package without a version: a",
      "var/lib/dpkg/status.d/torn": "it has a package without a name",
    });
    rmSync(folder, { recursive: true });
  });
});

/** Path and keywords of each line, whatever their order and escapes. */
function tokens(list: string): (readonly [string, readonly string[]])[] {
  const plain = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return list
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line): readonly [string, readonly string[]] => {
      const [path = "", ...words] = line.split(" ").filter((word) => word !== "");
      return [plain(path), words.map(plain).sort()];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** An ELF file of one section and the names of sections, made by objcopy: not by who reads it. */
function elf(section: string, bytes: Buffer): Buffer {
  requireDebian({ objcopy: "binutils" });
  const folder = mkdtempSync(join(tmpdir(), "reeve-elf-"));
  const [data, empty, made] = [join(folder, "data"), join(folder, "empty.o"), join(folder, "made.o")];
  writeFileSync(data, bytes);
  ran("bash", ["-euc", `echo | as -o ${empty} -`]);
  ran("objcopy", ["--add-section", `${section}=${data}`, empty, made]);
  const read = readFileSync(made);
  rmSync(folder, { recursive: true });
  return read;
}
