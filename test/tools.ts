import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The program's path, or null; of a path (a C header) itself. */
export function programPath(name: string): string | null {
  if (name.startsWith("/")) return existsSync(name) ? name : null;
  return FOLDERS.map((folder) => `${folder}/${name}`).find((path) => existsSync(path)) ?? null;
}

/**
 * Sees to it that Debian's packages are there: `programs` maps each program to the package that brings it. Installs what is missing,
 * printing one line; throws when that does not work, so that no test passes by not running.
 */
export function requireDebian(programs: Readonly<Record<string, string>>): void {
  const missing = Object.keys(programs).filter((name) => programPath(name) === null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((name) => programs[name] ?? name))];
  console.log(`installing ${packages.join(" ")} from Debian: the tests run against ${missing.join(", ")}`);
  const apt = (...words: string[]) =>
    spawnSync("apt-get", ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300", ...words], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8",
      timeout: 300_000,
    });
  apt("update");
  const done = apt("install", "--no-install-recommends", ...packages);
  if (done.status !== 0) throw new Error(`Cannot install ${packages.join(" ")}: ${done.stderr.trim()}`);
  const still = missing.filter((name) => programPath(name) === null);
  if (still.length > 0) throw new Error(`${still.join(", ")} is not there after installing ${packages.join(" ")}`);
}
