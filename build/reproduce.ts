/**
 * `bun run reproduce [--native-only]`: builds twice from two copies of the sources, in folders of different names and depths, each with its
 * own copy of node_modules, and compares the bytes. Ends with `identical`, or exit code 1 and the names of what differs.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail, ROOT, run } from "./command.ts";

const SOURCES = [
  "agent",
  "build",
  "control",
  "deploy",
  "policy",
  "providers",
  "node_modules",
  "package.json",
  "bun.lock",
  "bunfig.toml",
  "tsconfig.json",
];

/** Digest by name, from dist/SHA256SUMS; the bytes were hashed by the build that made them. */
function buildIn(folder: string, flags: readonly string[]): Map<string, string> {
  mkdirSync(folder, { recursive: true });
  for (const name of SOURCES) {
    if (!existsSync(join(ROOT, name)))
      fail(`Cannot reproduce: ${name} is not there.`, "Is this the whole of the sources?");
    cpSync(join(ROOT, name), join(folder, name), { recursive: true, verbatimSymlinks: true });
  }
  process.stdout.write(`building in ${folder}\n`);
  if (!run([process.execPath, "build/build.ts", ...flags], { folder })) {
    fail(`Cannot build in ${folder}.`, "See above.");
  }
  const sums = readFileSync(join(folder, "dist", "SHA256SUMS"), "utf8")
    .trim()
    .split("\n");
  return new Map(sums.map((line) => [line.slice(66), line.slice(0, 64)]));
}

function reproduce(): void {
  const flags = process.argv.slice(2);
  const scratch = mkdtempSync(join(tmpdir(), "reeve-reproduce-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const first = buildIn(join(scratch, "a"), flags);
  const second = buildIn(join(scratch, "another", "and-deeper"), flags);
  const names = new Set([...first.keys(), ...second.keys()]);
  const differing = [...names].filter((name) => first.get(name) !== second.get(name));
  if (names.size === 0) fail("Cannot compare: nothing was built.", "See above.");
  if (differing.length > 0)
    fail(`Two builds of the same sources differ: ${differing.join(", ")}.`, "Compare them with cmp.");
  process.stdout.write("identical\n");
}

reproduce();
