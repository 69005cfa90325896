import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { type World, world } from "../audit/world.ts";
import { POLICY_FILE, refusal, scaled, scaleTo, story } from "./log.ts";
import {
  beside,
  browser,
  checked,
  clear,
  endServers,
  look,
  open,
  PATIENCE_MS,
  type Seen,
  type Served,
  serve,
  styleOf,
  wordsOf,
} from "./stage.ts";

setDefaultTimeout(4 * PATIENCE_MS);
let w: World;
let served: Served;
let own: Browser;
let seen: Seen;
let page: Page;

beforeAll(async () => {
  w = await world();
  const log = w.open();
  story(log);
  log.close();
  const ca = beside(w.folder, "ca.pem", w.caPem);
  served = await serve(["--log", w.folder, "--ca", ca, "--policy", POLICY_FILE]);
  own = await browser();
  seen = await look(own, { viewport: { width: 1200, height: 900 } });
  page = seen.page;
  await open(seen, served);
});
afterAll(async () => {
  await own?.close();
  await endServers();
  clear(w.folder);
});

const states = (of: Page): Promise<(string | null)[]> =>
  of.locator(".row").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-state")));

async function home(): Promise<void> {
  await page.goto(served.origin);
  await checked(page);
}

test("the timeline has a row for each command with its outcome, newest first, and who claims to ask and why", async () => {
  expect(await states(page)).toEqual([
    "open",
    "cancelled",
    "refused",
    "succeeded",
    "considered",
    "unknown",
    "failed",
    "refused",
    "succeeded",
    "succeeded",
    "note",
    "note",
    "note",
    "note",
  ]);
  const refused = page.locator(".row[data-state=refused]").nth(1);
  const words = await wordsOf(refused);
  for (const part of [
    "refused",
    "Scale prod-eu-1-brokers to 12",
    "maria@vendor.example: INC-4312",
    "brokers-grow",
    "policy.count.above-max",
  ])
    expect(words).toContain(part);
  const ground = (state: string): Promise<string> => styleOf(page, `.row[data-state=${state}]`, "backgroundColor");
  expect(await ground("refused")).not.toBe(await ground("succeeded"));
  expect(await wordsOf(page.locator("#cluster"))).toBe("prod-eu-1");
  expect(seen.complaints).toEqual([]);
});

test("an opened row says the permitting rule as a sentence, each operation with its request id, and its lines are checked here", async () => {
  await home();
  const row = page.locator(".row[data-state=succeeded]").nth(1);
  await row.locator("summary").click();
  await row.locator(".mark[data-checked=yes]").nth(1).waitFor();
  const words = await wordsOf(row);
  expect(words).toContain("vendor.example may set the group prod-eu-1-brokers to between 3 and 9 machines");
  expect(words).toContain("count: 5 → 7");
  const cells = await row
    .locator("tbody tr")
    .evaluateAll((rows) => rows.map((each) => [...each.querySelectorAll("td")].map((cell) => cell.textContent)));
  expect(cells.map(([operation, , , status, , kind]) => [operation, status, kind])).toEqual([
    ["autoscaling:DescribeAutoScalingGroups", "ok", "read"],
    ["autoscaling:SetDesiredCapacity", "ok", "change"],
  ]);
  for (const [, , request] of cells) expect(request).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-/);
  const raw = await row.locator("pre").allTextContents();
  expect(raw.map((text) => (JSON.parse(text) as { kind: string }).kind)).toEqual(["intent", "outcome"]);
  const refused = page.locator(".row[data-state=refused]").nth(1);
  await refused.locator("summary").click();
  await refused.locator(".mark[data-checked=yes]").waitFor();
  expect(await wordsOf(refused)).toContain("Refused because the customer's rule brokers-grow allows at most 9");
  const approved = page.locator(".row[data-state=succeeded]").first();
  await approved.locator("summary").click();
  await approved.locator(".mark[data-checked=yes]").nth(3).waitFor();
  expect(await wordsOf(approved)).toContain("Approvals alice, entry");
});

test("a filter stands in the address: what is shown can be handed on, gone back from, and cleared", async () => {
  await home();
  await page.selectOption("select[name=outcome]", "refused");
  await page.click("button[type=submit]");
  await page.waitForURL(`${served.origin}/?outcome=refused`);
  await page.locator(".status", { hasText: "2 rows" }).waitFor();
  expect(await states(page)).toEqual(["refused", "refused"]);
  await page.selectOption("select[name=action]", "scale");
  await page.click("button[type=submit]");
  await page.waitForURL(`${served.origin}/?action=scale&outcome=refused`);
  await page.locator(".status", { hasText: "1 row," }).waitFor();
  await page.reload();
  await checked(page);
  expect(await states(page)).toEqual(["refused"]);
  expect(await page.inputValue("select[name=outcome]")).toBe("refused");
  await page.goBack();
  await page.locator(".status", { hasText: "2 rows" }).waitFor();
  await page.click("button[type=reset]");
  await page.locator(".status", { hasText: "14 rows" }).waitFor();
  expect(page.url()).toBe(`${served.origin}/`);
  await page.goto(`${served.origin}/?until=2020-01-01`);
  await page.locator(".status", { hasText: "0 rows" }).waitFor();
  await page.goto(`${served.origin}/?since=nonsense`);
  await page.locator("[role=alert]", { hasText: "a time such as" }).waitFor();
});

test("the policy view holds what was used of each rule in 30 days against what it allows", async () => {
  await home();
  await page.click("nav a[data-view=policy]");
  await page.waitForURL(`${served.origin}/policy`);
  const rule = (id: string) => page.locator(`.rule-card[data-rule="${id}"]`);
  await rule("brokers-grow").locator(".used").waitFor();
  const grow = await wordsOf(rule("brokers-grow"));
  for (const part of [
    "3 in 30 days",
    "3 of 4 at the most in any hour",
    "used 5 to 7, allowed 3 to 9",
    "used 1 to 2, allowed 0 to 2",
    "1 × policy.count.above-max",
    "count.max 9 could be 7",
  ])
    expect(grow).toContain(part);
  const dns = await wordsOf(rule("broker-dns"));
  for (const part of [
    "used 1m, allowed 30s to 1h",
    "never used: replace",
    "10.20.0.7 (1)",
    "rate 60 per hour could be 1 per hour",
  ])
    expect(dns).toContain(part);
  const certificates = await wordsOf(rule("broker-certificates"));
  for (const part of ["b7.prod-eu-1.example.com (1)", "P-256 (1)", "validity.max 30d could be 7d"])
    expect(certificates).toContain(part);
  const plots = await rule("brokers-grow")
    .locator("svg[role=img]")
    .evaluateAll((list) => list.map((plot) => plot.getAttribute("aria-label")));
  expect(plots).toContain("count: used 5 to 7, allowed 3 to 9");
  await page.reload();
  await rule("brokers-grow").locator(".used").waitFor();
});

test("everything can be reached and opened by the keyboard alone", async () => {
  await home();
  const focused = (): Promise<string> =>
    page.evaluate(`(() => {
      const at = document.activeElement;
      const text = (at?.textContent ?? "").trim().replace(/\\s+/g, " ").slice(0, 80);
      return at === null ? "" : at.tagName.toLowerCase() + " " + (at.getAttribute("name") ?? text);
    })()`);
  const tabTo = async (wanted: RegExp): Promise<string[]> => {
    const passed: string[] = [];
    for (let press = 0; press < 60; press++) {
      await page.keyboard.press("Tab");
      const at = await focused();
      passed.push(at);
      if (wanted.test(at)) return passed;
    }
    throw new Error(`not reached by Tab: ${wanted} in ${passed.join(" | ")}`);
  };
  expect(await tabTo(/Skip to the content/)).toHaveLength(1);
  await tabTo(/^select outcome/);
  await page.keyboard.press("r");
  await tabTo(/^button Filter/);
  await page.keyboard.press("Enter");
  await page.locator(".status", { hasText: "2 rows" }).waitFor();
  expect(page.url()).toContain("outcome=refused");
  await tabTo(/^summary .*Scale prod-eu-1-brokers to 12/);
  await page.keyboard.press("Enter");
  await page.locator(".row[data-state=refused] .mark[data-checked=yes]").waitFor();
  await page.keyboard.press("Shift+Tab");
  await home();
  await tabTo(/^a Policy/);
  await page.keyboard.press("Enter");
  await page.locator(".rule-card .used").first().waitFor();
  await page.keyboard.press("Tab");
  const outline = await styleOf(page, ":focus-visible", "outlineStyle");
  expect(outline).toBe("solid");
});

test("a long log is shown from its end without being read whole, goes back by parts, and a filter looks as far as it must", async () => {
  const long = await world();
  const log = long.open();
  story(log);
  for (let at = 0; at < 12; at++) log.append(Array.from({ length: 1000 }, () => refusal(scaleTo(12))));
  scaled(log, 3, 4);
  const entries = log.size;
  log.close();
  const other = await serve(["--log", long.folder]);
  const there = await look(own);
  // The whole log is only asked for after the first rows stand: until this answer is let go, nothing of it has come.
  const gate = Promise.withResolvers<void>();
  await there.context.route("**/api/lines**", async (route) => {
    await gate.promise;
    await route.continue();
  });
  await there.page.goto(other.address);
  await there.page.locator("#main[aria-busy=false] .row[data-state=succeeded]").waitFor();
  const first = await there.page.locator(".row").count();
  expect(first).toBeGreaterThanOrEqual(50);
  expect(first).toBeLessThan(1000);
  expect(there.requests.filter((url) => url.includes("/api/rows"))).toHaveLength(1);
  expect(await there.page.locator("#verdict").getAttribute("data-state")).not.toBe("whole");
  gate.resolve();
  await there.page.click("button:has-text('Older')");
  await there.page.locator(`.row >> nth=${first + 49}`).waitFor();
  await there.page.selectOption("select[name=outcome]", "failed");
  await there.page.click("button[type=submit]");
  await there.page.locator(".status", { hasText: "nothing is older" }).waitFor();
  expect(await states(there.page)).toEqual(["failed"]);
  expect(there.requests.filter((url) => url.includes("outcome=failed&before=")).length).toBeGreaterThan(0);
  await checked(there.page);
  expect(await wordsOf(there.page.locator("#verdict"))).toContain(
    `${entries.toLocaleString("en")} entries were read and hashed here`,
  );
  await there.context.close();
  await other.stop();
  clear(long.folder);
});
