import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS } from "../../agent/wire/protocol.ts";
import { REFUSAL_CODES } from "../../policy/refusal.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/PROTOCOL.md"), "utf8");

test("docs/PROTOCOL.md names every refusal's code and every fault, and no other", () => {
  const codes = page.slice(page.indexOf("## Codes of refusals")).match(/`[a-z-]+\.[a-z.-]+`/g) ?? [];
  const listed = codes.map((code) => code.slice(1, -1)).filter((code) => code !== "refusal.ts");
  expect(listed.toSorted()).toEqual([...REFUSAL_CODES].toSorted());
  const faults =
    page.slice(page.indexOf("## Faults"), page.indexOf("## Codes of refusals")).match(/^\| `([a-z-]+)`/gm) ?? [];
  expect(faults.map((row) => row.slice(3, -1)).toSorted()).toEqual([...FAULTS].toSorted());
});
