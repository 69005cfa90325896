/** Files that are not code and belong into an executable, as text. Called as a macro: the executable holds the text and nothing of this file. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./command.ts";

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
