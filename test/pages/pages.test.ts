import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import type { ClusterPage } from "../../control/pages/clusterPage.ts";
import type { FleetPage } from "../../control/pages/fleetPage.ts";
import { addCluster } from "../control/planWorld.ts";
import { browser, look, PATIENCE_MS, type Seen, wordsOf } from "../ui/stage.ts";
import { oneOfEach } from "./fleet.ts";
import { AS_MARIA, endPages, filled, type Paged, paged } from "./stage.ts";

setDefaultTimeout(4 * PATIENCE_MS);
/** Shown beside those of `oneOfEach`. */
const MANY = 1000;
let served: Paged;
let own: Browser;

beforeAll(async () => {
  const dir = await filled(async (sql) => {
    await oneOfEach(sql);
    for (let at = 0; at < MANY; at++)
      await addCluster(sql, `many-${String(at).padStart(4, "0")}`, { policy: null, silent: at % 10 === 0 ? 7200 : 1 });
  });
  served = await paged(dir);
  own = await browser();
});
afterAll(async () => {
  await own?.close();
  await endPages();
});

function person(): Promise<Seen> {
  return look(own, { extraHTTPHeaders: AS_MARIA, viewport: { width: 1200, height: 900 } });
}

const names = (page: Page): Promise<string[]> =>
  page.locator("tbody th a").evaluateAll((links) => links.map((link) => link.textContent ?? ""));

test("the fleet is shown by name, fifty at once, each with its state in words, found by state and by name", async () => {
  const seen = await person();
  const { page } = seen;
  await page.goto(served.origin);
  expect(await wordsOf(page.locator(".states"))).toMatch(
    /^1007 clusters 901 ● ready 1 ‖ suspended by customer 1 … waiting for approval 1 ✕ refusing everything 101 \? not heard from 1 ○ never started 1 ⊗ fenced$/,
  );
  expect(await page.locator("tbody tr").count()).toBe(50);
  expect(await names(page)).toContain("copied-eu-1");
  await page.click("a[rel=next]");
  await page.waitForURL(`${served.origin}/?page=2`);
  expect((await names(page))[0]).toBe("many-0049");
  await page.selectOption("select[name=state]", "not heard from");
  await page.fill("input[name=name]", "eu-1");
  await page.click("button[type=submit]");
  await page.waitForURL(/state=not\+heard\+from&name=eu-1/);
  expect(await names(page)).toEqual(["silent-eu-1"]);
  expect(await wordsOf(page.locator("tbody tr"))).toContain("? not heard from 2 h ago");
  await page.goto(`${served.origin}/?state=suspended+by+customer`);
  expect(await wordsOf(page.locator("tbody tr"))).toContain("‖ suspended by customer maria: maintenance");
  expect(seen.complaints).toEqual([]);
  // Nothing is asked of anybody else.
  expect(seen.requests.filter((url) => !url.startsWith(`${served.origin}/`))).toEqual([]);
  await seen.context.close();
});

test("a cluster's page has its manifest with a search, its commands and what became of them, and says when it is stale", async () => {
  const seen = await person();
  const { page } = seen;
  await page.goto(`${served.origin}/cluster/ready-eu-1`);
  const words = await wordsOf(page.locator("#main"));
  for (const part of ["4.2.0", "vendor.example/release-2026", "Checksum sha256:", "INC-4312: queue is growing"])
    expect([part, words.includes(part)]).toEqual([part, true]);
  expect(words).toContain("scale brokers to 3");
  expect(words).toContain("refused policy.count.above-max");
  // Within a day two, within a week three; what is older than that is not counted.
  expect(words).toContain("policy.count.above-max count 2 3");
  expect(words).not.toContain("is silent");
  await page.fill("input[name=libraries]", "@Scope/left");
  await page.click(".filter button");
  await page.waitForURL(/libraries=/);
  expect(await wordsOf(page.locator("[role=status]"))).toBe("1 found");
  expect(await wordsOf(page.locator("#main"))).toContain("pkg:npm/%40scope/left@1.3.0");
  await page.goto(`${served.origin}/cluster/silent-eu-1`);
  expect(await wordsOf(page.locator(".fault"))).toContain("as it was when it was last seen");
  await page.goto(`${served.origin}/libraries?name=openssl&version=3.0.11`);
  expect(await wordsOf(page.locator("[role=status]"))).toBe("1 cluster");
  expect(await names(page)).toEqual(["ready-eu-1"]);
  await page.goto(`${served.origin}/alarms`);
  expect(await wordsOf(page.locator("#main"))).toContain("copied-eu-1 copy two hold the identity of epoch 1");
  await page.goto(`${served.origin}/rollouts`);
  const rollouts = await wordsOf(page.locator("#main"));
  for (const part of [
    "Rollout 1: 4.2.1",
    "stopped, lane 1 of 2",
    "maria: CVE-2026-1",
    "It stopped: 1 of 1 failed",
    "1 cluster that it touched is not heard from any more.",
    "10 %",
    "2 pending",
  ])
    expect([part, rollouts.includes(part)]).toEqual([part, true]);
  await page.goto(`${served.origin}/alarms`);
  expect(await wordsOf(page.locator("#main"))).toMatch(/^Alarms and refusals As of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
  expect(seen.complaints).toEqual([]);
  await seen.context.close();
});

test("the page renews itself only when asked to, and can be told to stop", async () => {
  expect((await served.get("/")).headers.get("refresh")).toBeNull();
  expect((await served.get("/?renew=30")).headers.get("refresh")).toBe("30");
  expect((await served.get("/?renew=0;url=http://evil.example/")).headers.get("refresh")).toBeNull();
  const seen = await person();
  await seen.page.goto(`${served.origin}/?state=ready`);
  await seen.page.click("text=Renew it every 30 s");
  await seen.page.waitForURL(`${served.origin}/?state=ready&renew=30`);
  await seen.page.click("text=Do not renew it");
  await seen.page.waitForURL(`${served.origin}/?state=ready`);
  await seen.context.close();
});

test("programs are told the same as people, as JSON", async () => {
  const json = async <T>(path: string): Promise<T> => (await (await served.get(path)).json()) as T;
  const fleet = await json<FleetPage>("/api/fleet?state=fenced");
  expect(fleet.states).toMatchObject({ ready: 901, fenced: 1, "never started": 1 });
  expect(fleet.clusters).toMatchObject([
    { cluster: "copied-eu-1", state: "fenced", reason: "two showed one certificate", alarms: 1, open_commands: 0 },
  ]);
  const cluster = await json<ClusterPage>("/api/cluster/ready-eu-1?libraries=zlib");
  expect(cluster.libraries).toMatchObject({ found: 1, shown: [{ image: "broker" }] });
  expect(cluster.commands.map(({ state, code }) => [state, code])).toEqual([
    ["refused", "policy.count.above-max"],
    ["succeeded", null],
  ]);
  expect(await json("/api/libraries?name=openssl")).toMatchObject({ clusters: 2, found: 2 });
  expect(await json("/api/alarms")).toMatchObject({ alarms: [{ cluster: "copied-eu-1", kind: "copy" }] });
  expect((await served.get("/api/cluster/nobody")).status).toBe(404);
});
