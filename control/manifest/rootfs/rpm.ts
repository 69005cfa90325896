import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Complaint } from "../../terminal.ts";
import { makePurl } from "../purl.ts";

const DATABASES = ["var/lib/rpm", "usr/lib/sysimage/rpm"];
const FORMAT = "%{NAME}\\t%|EPOCH?{%{EPOCH}}:{}|\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";

/** Packages of an RPM database, read by rpm itself: its format is its own. None when there is no database. */
export function rpmPackages(root: string, distribution: string): string[] {
  const folder = DATABASES.find((path) =>
    ["rpmdb.sqlite", "Packages", "Packages.db"].some((name) => existsSync(join(root, path, name))),
  );
  if (folder === undefined) return [];
  const ran = spawnSync("rpm", ["--dbpath", join(root, folder), "--query", "--all", "--queryformat", FORMAT], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
  });
  if (ran.error !== undefined || ran.status !== 0)
    throw new Complaint(
      3,
      `read the RPM database in ${folder}`,
      ran.error === undefined
        ? `rpm ended with ${ran.status}: ${ran.stderr.trim().split("\n")[0]}`
        : "rpm is not installed here",
      "Install rpm, or give an SBOM of the image instead.",
    );
  return ran.stdout.split("\n").flatMap((line) => {
    const [name, epoch, version, arch] = line.split("\t");
    if (!name || !version || name === "gpg-pubkey") return [];
    return [makePurl("rpm", distribution, name, version, { ...(arch ? { arch } : {}), ...(epoch ? { epoch } : {}) })];
  });
}
