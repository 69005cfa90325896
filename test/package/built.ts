import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";

export const DIST = join(ROOT, "dist");

/** What a package is made of, beside the command lines in the executables. */
const SOURCES = ["dist/reeve", "dist/reeve-control", "deploy", "docs", "build/package", "build/package.ts"];

function newest(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Paths of this machine's packages, by kind and name. They are made when they are missing or older than what is in them. */
export function packages(): { deb: string; rpm: string; controlDeb: string; controlRpm: string } {
  requireDebian({ "dpkg-deb": "dpkg", rpmbuild: "rpm" });
  const sums = join(DIST, "PACKAGES.SHA256");
  const stale = !existsSync(sums) || SOURCES.some((path) => newest(join(ROOT, path)) > statSync(sums).mtimeMs);
  if (stale && !run([process.execPath, join(ROOT, "build", "package.ts"), "--native-only"]))
    throw new Error("the packages cannot be made; see above");
  const names = readFileSync(sums, "utf8").match(/\S+\.(?:deb|rpm)/g) ?? [];
  const path = (pattern: RegExp): string => {
    const name = names.find((one) => pattern.test(one));
    if (name === undefined) throw new Error(`no package matches ${pattern}`);
    return join(DIST, name);
  };
  const [debian, red] = process.arch === "arm64" ? ["arm64", "aarch64"] : ["amd64", "x86_64"];
  return {
    deb: path(new RegExp(`^reeve_.*_${debian}\\.deb$`)),
    rpm: path(new RegExp(`^reeve-\\d.*\\.${red}\\.rpm$`)),
    controlDeb: path(new RegExp(`^reeve-control_.*_${debian}\\.deb$`)),
    controlRpm: path(new RegExp(`^reeve-control-\\d.*\\.${red}\\.rpm$`)),
  };
}
