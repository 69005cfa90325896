/**
 * `bun run build [--native-only]`: both executables for this machine's processor and for the other one, an SBOM of each, and dist/SHA256SUMS.
 * The output's file name is part of its bytes, the folder is not: so each is made under its final name elsewhere and moved in.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { bundling } from "./bundling.ts";
import { fail, ROOT, toolEnvironment } from "./command.ts";
import { lockOfRoot } from "./supply/lock.ts";
import { pagePlaces } from "./supply/page.ts";
import { type Metafile, placesIn, sbomOf } from "./supply/sbom.ts";

const PROGRAMS = [
  { name: "reeve", entry: "agent/start.ts" },
  { name: "reeve-control", entry: "control/main.ts" },
] as const;

type Architecture = "x64" | "arm64";

function versionOf(root: string): string {
  const text = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return text.version;
}

function native(): Architecture {
  const here = arch();
  if (here !== "x64" && here !== "arm64") fail(`Cannot build on ${here}.`, "Build on Linux x64 or arm64.");
  return here;
}

/** Makes one executable at `to`, and beside it the bundler's account of it; ends the process when it cannot. */
function compile(entry: string, to: string, architecture: Architecture): void {
  if (!existsSync(join(ROOT, entry)))
    fail(`Cannot build ${to}: ${entry} is not there.`, "Is this the whole of the sources?");
  const made = spawnSync(
    process.execPath,
    [...bundling(entry, to, architecture, versionOf(ROOT)), `--metafile=${to}.json`],
    {
      cwd: ROOT,
      env: toolEnvironment(),
      encoding: "utf8",
    },
  );
  if (made.status === 0 && existsSync(to)) return;
  process.stderr.write(`${made.stdout}${made.stderr}`);
  fail(
    `Cannot build ${entry} for linux ${architecture}.`,
    architecture === native()
      ? "The bundler's own words are above."
      : `Bun's runtime for ${architecture} comes from the npm registry, which must be reachable. \`--native-only\` leaves it out.`,
  );
}

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** The SBOM of what was compiled to `from`, at `to`. */
function describe(name: string, from: string, to: string, pages: readonly string[]): void {
  const metafile = JSON.parse(readFileSync(`${from}.json`, "utf8")) as Metafile;
  const places = [...new Set([...placesIn(metafile), ...pages])];
  writeFileSync(to, sbomOf(name, versionOf(ROOT), places, lockOfRoot()));
}

async function build(nativeOnly: boolean): Promise<void> {
  const here = native();
  const there: Architecture = here === "x64" ? "arm64" : "x64";
  const dist = join(ROOT, "dist");
  const scratch = join(dist, `.making-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const made: string[] = [];
  const pages = await pagePlaces();
  for (const architecture of nativeOnly ? [here] : [here, there]) {
    for (const { name, entry } of PROGRAMS) {
      const final = architecture === here ? name : `${name}-linux-${architecture}`;
      compile(entry, join(scratch, final), architecture);
      made.push(final);
      if (architecture !== here) continue;
      const sbom = `${name}.cdx.json`;
      describe(name, join(scratch, final), join(scratch, sbom), name === "reeve" ? pages : []);
      made.push(sbom);
    }
  }
  // Moved in only when all are made: a build that fails leaves the last one whole.
  for (const name of made) renameSync(join(scratch, name), join(dist, name));
  if (nativeOnly) for (const { name } of PROGRAMS) rmSync(join(dist, `${name}-linux-${there}`), { force: true });
  const sums = made.map((name) => `${sha256(join(dist, name))}  ${name}\n`).join("");
  writeFileSync(join(dist, "SHA256SUMS"), sums);
  process.stdout.write(sums);
}

await build(process.argv.includes("--native-only"));
