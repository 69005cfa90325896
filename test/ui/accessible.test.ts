import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { type World, world } from "../audit/world.ts";
import { judged } from "./axe.ts";
import { POLICY_FILE, story } from "./log.ts";
import { beside, browser, clear, endServers, look, open, PATIENCE_MS, type Served, serve, styleOf } from "./stage.ts";

setDefaultTimeout(4 * PATIENCE_MS);
const PHONE = { width: 360, height: 740 };
const DESK = { width: 1200, height: 900 };
let w: World;
let own: Browser;
let words: string[];

beforeAll(async () => {
  w = await world();
  const log = w.open();
  story(log);
  log.close();
  words = ["--log", w.folder, "--ca", beside(w.folder, "ca.pem", w.caPem), "--policy", POLICY_FILE];
  own = await browser();
});
afterAll(async () => {
  await own?.close();
  await endServers();
  clear(w.folder);
});

async function accessible(options: BrowserContextOptions): Promise<{ ground: string; text: string }> {
  const served: Served = await serve(words);
  const seen = await look(own, options);
  const { page } = seen;
  await open(seen, served);
  const wide = (): Promise<number> =>
    page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  const hold = async (): Promise<void> => {
    const { wrong, passed } = await judged(page);
    expect(wrong).toEqual([]);
    expect(passed).toBeGreaterThan(15);
    expect(await wide()).toBe(0);
  };
  for (const state of ["succeeded", "refused", "failed", "unknown"])
    await page.locator(`.row[data-state=${state}] summary`).first().click();
  await page.locator("#verdict summary").click();
  await page.locator(".row[data-state=succeeded] .mark[data-checked=yes]").first().waitFor();
  await hold();
  await page.click("nav a[data-view=policy]");
  await page.locator(".rule-card .used").first().waitFor();
  await hold();
  const style = { ground: await styleOf(page, "body", "backgroundColor"), text: await styleOf(page, "body", "color") };
  expect(seen.complaints).toEqual([]);
  await seen.context.close();
  await served.stop();
  return style;
}

test("timeline, opened rows and policy are accessible by axe-core on a desk, in light and in dark", async () => {
  const light = await accessible({ viewport: DESK, colorScheme: "light" });
  const dark = await accessible({ viewport: DESK, colorScheme: "dark" });
  expect(light.ground).toBe("rgb(255, 255, 255)");
  expect(dark.ground).not.toBe(light.ground);
  expect(dark.text).not.toBe(light.text);
});

test("they are so on a phone too, and nothing is wider than it", async () => {
  await accessible({ viewport: PHONE, colorScheme: "light", hasTouch: true, isMobile: true });
  await accessible({ viewport: PHONE, colorScheme: "dark", hasTouch: true, isMobile: true });
});

test("axe-core sees what is not accessible: a label taken away, a colour too faint", async () => {
  const served = await serve(words);
  const seen = await look(own, { viewport: DESK });
  await open(seen, served);
  await seen.page.evaluate(`(() => {
    document.querySelector("select[name=outcome]").parentElement.replaceWith(document.querySelector("select[name=outcome]"));
    document.querySelector(".row .title").style.color = "#eeeeee";
  })()`);
  const { wrong } = await judged(seen.page);
  expect(wrong.map((text) => text.split(":")[0]).sort()).toEqual(["color-contrast", "select-name"]);
  await seen.context.close();
  await served.stop();
});
