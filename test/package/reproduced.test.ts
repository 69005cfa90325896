import { expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { DIST, packages } from "./built.ts";

setDefaultTimeout(300_000);

test("made again elsewhere, later, under another umask, time zone, language and user's settings, every package has the same bytes", () => {
  packages();
  const folder = join(ROOT, ".cache");
  mkdirSync(folder, { recursive: true });
  const out = mkdtempSync(join(folder, "a-folder-of-another-name-"));
  try {
    const env = {
      PATH: process.env["PATH"] ?? "",
      TZ: "Pacific/Chatham",
      LANG: "C",
      HOME: out,
      DEB_BUILD_OPTIONS: "parallel=7",
    };
    const again = `umask 077; exec "${process.execPath}" build/package.ts --native-only --out="${out}"`;
    const done = spawnSync("sh", ["-c", again], { cwd: ROOT, env, encoding: "utf8" });
    expect(done.stderr).toBe("");
    expect(done.status).toBe(0);
    const sums = readFileSync(join(out, "PACKAGES.SHA256"), "utf8").trim().split("\n");
    expect(sums.length).toBe(4);
    const first = readFileSync(join(DIST, "PACKAGES.SHA256"), "utf8");
    expect(sums.filter((line) => !first.includes(`${line}\n`))).toEqual([]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});
