import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { PAGE, transcript } from "./transcript.ts";

/** What is another in each run: ids, times, digests, keys, sizes, and how many heads were cosigned on the way. */
function constant(page: string): string {
  return page
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "ID")
    .replace(/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replace(/sha256:[0-9a-f]{64}|SHA-256 [0-9a-f]{64}/g, "DIGEST")
    .replace(/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=/g, "BASE64")
    .replace(/ssh-ed25519 [A-Za-z0-9+/]+/g, "KEY")
    .replace(/\(\d+ (?:h|min) [^)]*left\)/g, "LEFT")
    .replace(/cmd-\d{4}-\d\d/g, "KID")
    .replace(/\d+ s ago/g, "AGO")
    .replace(/\d+ checkpoints signed/g, "HEADS")
    .replace(/\d+ bytes/g, "BYTES");
}

test("docs/TRANSCRIPT.md is what `bun run transcript` plays today", async () => {
  expect(constant(readFileSync(PAGE, "utf8"))).toBe(constant(await transcript()));
}, 120_000);
