import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, type Source, sources, withoutComments } from "./sources.ts";

const MAX_FILE_LINES = 500;
const SHIPPED = ["agent", "policy", "providers", "control"];

/** What is untidy in one file, a sentence each. */
function untidy({ path, text }: Source): string[] {
  const code = withoutComments(text);
  const lines = text.split("\n").length - 1;
  return [
    ...(lines > MAX_FILE_LINES ? [`${path} has ${lines} lines, over ${MAX_FILE_LINES}`] : []),
    ...(/\b(?:TODO|FIXME|XXX|HACK)\b/.test(text) ? [`${path} holds a note of unfinished work`] : []),
    ...(/(?::|\bas|<|\||&)\s*any\b(?!\s*[:(])/.test(code.replace(/"[^"\n]*"|`[^`]*`/g, '""'))
      ? [`${path} uses any`]
      : []),
    ...(/^\s*export\s+default\b/m.test(code) ? [`${path} has a default export`] : []),
    ...(/^\s*(?:export\s+)?(?:const\s+|declare\s+)?enum\s/m.test(code) ? [`${path} has an enum`] : []),
    ...(/@ts-(?:ignore|nocheck)/.test(text) ? [`${path} silences the type checker`] : []),
    ...(/catch\s*(?:\([^)]*\))?\s*\{\s*\}/.test(code) ? [`${path} swallows an error without a word`] : []),
  ];
}

test("what is shipped is tidy: short files, no any, no default export, no enum, nothing left to do, no error swallowed", () => {
  const found = sources(SHIPPED);
  expect(found.length).toBeGreaterThan(30);
  expect(found.flatMap(untidy)).toEqual([]);
});

test.each([
  ["long", "x\n".repeat(MAX_FILE_LINES + 1)],
  ["unfinished", `// ${"TO"}DO: later\n`],
  ["any", "export const x: any = 1;\n"],
  ["as any", "export const x = (1 as any).y;\n"],
  ["array of any", "export const x: Array<any> = [];\n"],
  ["default", "export default 1;\n"],
  ["enum", "export enum A { B }\n"],
  ["silenced", `// @ts-${"ignore"}\n`],
  ["swallowed", "try { a(); } catch {}\n"],
])("the untidy is seen: %s", (_, text) => {
  expect(untidy({ path: "agent/x.ts", text })).toHaveLength(1);
});

test("the words any, default and enum may be used in comments and strings", () => {
  const text = '/** as any: any below */\nexport const x = "no wildcard: any name";\nexport const any = 1;\n';
  expect(untidy({ path: "agent/x.ts", text })).toEqual([]);
});

test("the lockfile, package.json and the check command name one version of Bun", () => {
  const text = (name: string) => readFileSync(join(ROOT, name), "utf8");
  const bun = /BUN_VERSION = "([\d.]+)"/.exec(text("build/setup.ts"))?.[1];
  expect(bun).toBeDefined();
  expect(text(".ci/run")).toContain(`npx -y bun@${bun} run check\n`);
  expect(text("package.json")).toContain(`"@types/bun": "${bun}"`);
});
