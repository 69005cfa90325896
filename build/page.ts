/**
 * What the page of `reeve audit ui` is made of, as text. Called as macros by agent/ui/assets.ts: they run in the bundler when the executable is built
 * (and in the transpiler when the sources are run), so the executable holds the text and nothing of this file.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, toolEnvironment } from "./command.ts";

const FOLDER = "agent/ui/page";

/** One script of the page with all that it imports, for browsers. The same sources give the same bytes wherever they lie. */
export function pageScript(entry: string): string {
  const made = spawnSync(
    process.execPath,
    ["build", "--target=browser", "--format=esm", "--minify", `./${FOLDER}/${entry}`],
    { cwd: ROOT, env: toolEnvironment(), encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (made.status !== 0) throw new Error(`cannot bundle ${entry}: ${made.stderr}`);
  return made.stdout;
}

export function pageText(name: string): string {
  return readFileSync(join(ROOT, FOLDER, name), "utf8");
}
