import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS } from "../../agent/wire/protocol.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/PROTOCOL.md"), "utf8");

test("docs/PROTOCOL.md names every fault and no other, and says where the codes of refusals are", () => {
  expect(page).toContain("[REFUSALS.md](REFUSALS.md)");
  const faults =
    page.slice(page.indexOf("## Faults"), page.indexOf("## Codes of refusals")).match(/^\| `([a-z-]+)`/gm) ?? [];
  expect(faults.map((row) => row.slice(3, -1)).toSorted()).toEqual([...FAULTS].toSorted());
});
