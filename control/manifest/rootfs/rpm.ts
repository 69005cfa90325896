import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Complaint } from "../../terminal.ts";
import { makePurl } from "../purl.ts";
import type { RootTree } from "./tree.ts";

const FOLDERS = ["var/lib/rpm", "usr/lib/sysimage/rpm"];
const DATABASES = ["rpmdb.sqlite", "Packages", "Packages.db"];
const FORMAT = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{}|\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";
const TIMEOUT_MS = 60_000;

/**
 * Packages of an RPM database, read by rpm itself, for its format is its own: out of a copy, so that nothing in the root is written, and no
 * link in it leads rpm elsewhere. None when there is no database. Throws a Complaint.
 */
export function rpmPackages(tree: RootTree, distribution: string): string[] {
  const files = FOLDERS.flatMap((folder) =>
    [...DATABASES, "rpmdb.sqlite-wal"].flatMap((name) => {
      const bytes = tree.read(`${folder}/${name}`);
      return bytes === null ? [] : [{ folder, name, bytes }];
    }),
  );
  const [first] = files;
  if (first === undefined) return [];
  const copy = mkdtempSync(join(tmpdir(), "reeve-rpm-"));
  try {
    for (const { folder, name, bytes } of files) if (folder === first.folder) writeFileSync(join(copy, name), bytes);
    return query(copy, first.folder, distribution);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function query(copy: string, folder: string, distribution: string): string[] {
  const ran = spawnSync("rpm", ["--dbpath", copy, "--query", "--all", "--queryformat", FORMAT], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
  });
  if (ran.error !== undefined || ran.status !== 0)
    throw new Complaint(
      3,
      `read the RPM database in ${folder}`,
      (ran.error as { code?: string } | undefined)?.code === "ENOENT"
        ? "rpm is not installed here"
        : `rpm ended with ${ran.status ?? ran.signal}: ${ran.stderr.trim().split("\n")[0]}`,
      "Install rpm, or give an SBOM of the image instead.",
    );
  return ran.stdout.split("\n").flatMap((line) => {
    const [name, epoch, version, arch] = line.split("\t");
    if (!name || !version || name === "gpg-pubkey") return [];
    return [makePurl("rpm", distribution, name, version, { ...(arch ? { arch } : {}), ...(epoch ? { epoch } : {}) })];
  });
}
