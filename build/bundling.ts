/** How each executable is bundled: what build.ts compiles with, and what a test asks the bundler about. */
import { join } from "node:path";

/** The words after `bun`, to compile `entry` into `to`. `architecture`: x64 or arm64. `--metafile=FILE` may stand after them. */
export function bundling(entry: string, to: string, architecture: string, version: string): string[] {
  return [join(import.meta.dirname, "compile.ts"), entry, to, architecture, version];
}
