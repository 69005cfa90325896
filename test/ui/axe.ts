import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";

const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
type Result = { readonly id: string; readonly nodes: readonly { readonly html: string }[] };

/** What axe-core finds wrong by WCAG 2.2 A and AA and its best practices, and how many rules it held something to. */
export async function judged(page: Page): Promise<{ wrong: string[]; passed: number }> {
  // By the browser's debugger, as axe's own drivers do: the page's policy for content lets no script in.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate<{ violations: Result[]; passes: Result[] }>("axe.run(document)");
  const wrong = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ; ")}`);
  return { wrong, passed: passes.length };
}
