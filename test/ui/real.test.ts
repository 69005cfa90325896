import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser } from "playwright-core";
import type { World } from "../e2e/world.ts";
import { played } from "./played.ts";
import { browser, endServers, look, open, PATIENCE_MS, serve, wordsOf } from "./stage.ts";

setDefaultTimeout(6 * PATIENCE_MS);
let w: World;
let own: Browser;

beforeAll(async () => {
  w = await played();
  own = await browser();
});
afterAll(async () => {
  await own?.close();
  await endServers();
  await w?.end();
});

test("beside a running agent the page shows what its vendor asked, checked in the browser under the vendor's CA", async () => {
  const served = await serve(["--config", w.config, "--ca", w.root]);
  const seen = await look(own, { viewport: { width: 1200, height: 900 } });
  const { page } = seen;
  await open(seen, served);
  const states = await page
    .locator(".row:not([data-state=note])")
    .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-state")));
  expect(states).toEqual(["considered", "refused", "succeeded", "refused", "succeeded", "succeeded"]);
  expect(await page.locator("#verdict").getAttribute("data-state")).toBe("unwitnessed");
  await page.locator("#verdict summary").click();
  expect(await wordsOf(page.locator("#verdict"))).toContain("Vouched for by CN=");
  const newest = page.locator(".row[data-state=succeeded]").first();
  await newest.locator("summary").click();
  await newest.locator(".mark[data-checked=yes]").nth(1).waitFor();
  const words = await wordsOf(newest);
  expect(words).toContain("brokers-grow: vendor.example may set the group brokers to between 0 and 4 machines");
  expect(words).toContain("local.process.start");
  await page.click("nav a[data-view=policy]");
  const grow = page.locator('.rule-card[data-rule="brokers-grow"]');
  await grow.locator(".used").waitFor();
  expect(await wordsOf(grow)).toContain("used 2 to 4, allowed 0 to 4");
  expect(seen.complaints).toEqual([]);
  expect(w.reeve(["status"], "--json").code).toBe(0);
  await seen.context.close();
  await served.stop();
});
