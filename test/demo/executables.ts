/** The demo runs what a customer would run: the compiled executables. They are made when they are missing or older than their sources. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run } from "../../build/command.ts";
import { DemoFailed } from "./stage.ts";

const SOURCES = ["agent", "policy", "providers", "control", "package.json", "bun.lock", "build/build.ts"];

export type Executables = { readonly reeve: string; readonly control: string };

function newest(path: string): number {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

export function executables(): Executables {
  const reeve = join(ROOT, "dist", "reeve");
  const control = join(ROOT, "dist", "reeve-control");
  const sources = Math.max(...SOURCES.map((name) => newest(join(ROOT, name))));
  const stale = [reeve, control].some((path) => !existsSync(path) || statSync(path).mtimeMs < sources);
  if (stale) {
    process.stdout.write("Building dist/reeve and dist/reeve-control first; this is done once.\n");
    if (!run([process.execPath, join(ROOT, "build", "build.ts"), "--native-only"]))
      throw new DemoFailed("the executables cannot be built; see above");
  }
  return { reeve, control };
}
