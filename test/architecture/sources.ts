import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");
export const AREAS = ["agent", "policy", "providers", "control", "build", "bench", "test"] as const;

export type Source = { readonly path: string; readonly text: string };

/** Every TypeScript file of ours, by its path from the top. */
export function sources(areas: readonly string[] = AREAS): Source[] {
  return areas.flatMap((area) =>
    readdirSync(join(ROOT, area), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .map((name) => ({ path: `${area}/${name}`, text: readFileSync(join(ROOT, area, name), "utf8") })),
  );
}

/** Blanks comments out and keeps every line where it is. Strings that hold comment marks are kept. */
export function withoutComments(text: string): string {
  return text.replace(
    /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (found) => (found.startsWith("/*") || found.startsWith("//") ? found.replace(/[^\n]/g, " ") : found),
  );
}

/** What a file imports: types too, re-exports and `import()` too. Ours as paths from the top, others as they are written. */
export function importsOf({ path, text }: Source): string[] {
  const code = withoutComments(text);
  const found = [
    ...code.matchAll(/^\s*(?:import|export)\s[^;'"`]*?\bfrom\s*["']([^"']+)["']/gm),
    ...code.matchAll(/^\s*import\s*["']([^"']+)["']/gm),
    ...code.matchAll(/\b(?:import|require)\s*\(\s*["']([^"']+)["']\s*\)/g),
  ].map((match) => match[1] ?? "");
  return found.map((name) => (name.startsWith(".") ? posix.join(posix.dirname(path), name) : name));
}
