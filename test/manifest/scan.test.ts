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
  found = scanRoot(root);
}, 300_000);
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

  test("a Rust program that cargo-auditable wrote names its crates; what only looks so names none", () => {
    const crates = {
      packages: [
        { name: "ring", version: "0.17.8" },
        { name: "cc", version: "1.0.0", kind: "build" },
      ],
    };
    const good = elf(".dep-v0", deflateSync(Buffer.from(JSON.stringify(crates))));
    expect(rustCrates(good)).toEqual(["pkg:cargo/ring@0.17.8"]);
    expect(rustCrates(elf(".dep-v0", Buffer.from("no zlib")))).toEqual([]);
    expect(rustCrates(elf(".other", Buffer.from("x")))).toEqual([]);
    for (const length of [0, 3, 63, 64, good.length - 1]) expect(rustCrates(good.subarray(0, length))).toEqual([]);
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
