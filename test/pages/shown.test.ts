import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { addCluster } from "../control/planWorld.ts";
import { judged } from "../ui/axe.ts";
import { browser, look, PATIENCE_MS, type Seen, styleOf } from "../ui/stage.ts";
import { oneOfEach } from "./fleet.ts";
import { AS_MARIA, ask, endPages, filled, keep, paged } from "./stage.ts";

setDefaultTimeout(4 * PATIENCE_MS);
let own: Browser;
beforeAll(async () => {
  own = await browser();
});
afterAll(async () => {
  await own?.close();
  await endPages();
});

function person(options: BrowserContextOptions = {}): Promise<Seen> {
  return look(own, { extraHTTPHeaders: AS_MARIA, viewport: { width: 1200, height: 900 }, ...options });
}

const VIEWS = ["/", "/cluster/ready-eu-1", "/cluster/silent-eu-1", "/rollouts", "/alarms", "/libraries?name=openssl"];

test("every view is accessible by axe-core, in light and in dark, and at 400 % no page is wider than the window", async () => {
  const grounds: string[] = [];
  const served = await paged(await filled(oneOfEach));
  // 320 by 256 is what 1280 by 1024 becomes at 400 %.
  for (const options of [
    { colorScheme: "light" },
    { colorScheme: "dark", viewport: { width: 320, height: 256 } },
  ] as const) {
    const seen = await person(options);
    for (const view of VIEWS) {
      await seen.page.goto(served.origin + view);
      const { wrong, passed } = await judged(seen.page);
      expect([view, wrong]).toEqual([view, []]);
      expect(passed).toBeGreaterThan(12);
      const wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
      expect([view, await seen.page.evaluate(wide)]).toEqual([view, 0]);
    }
    grounds.push(await styleOf(seen.page, "body", "backgroundColor"));
    expect(seen.complaints).toEqual([]);
    await seen.context.close();
  }
  await served.stop();
  expect(grounds[0]).toBe("rgb(255, 255, 255)");
  expect(grounds[1]).not.toBe(grounds[0]);
});

const PAYLOADS = [
  "<script>window.pwned=1</script>",
  "<img src=x onerror=window.pwned=1>",
  "'\"><svg onload=window.pwned=1>",
  "</table></main><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
  "<a href=javascript:window.pwned=1 id=main>x</a>",
  "&lt;b&gt; &amp; {{7*7}} <%= 7*7 %>",
  "<style>*{background:url(http://evil.example/leak)}</style>",
  "<base href=http://evil.example/><meta http-equiv=refresh content='0;url=http://evil.example/'>",
  "a\u202eb\u0000c\u200bd",
] as const;

test("nothing that an agent or an operator said is ever markup: it stands there as text, runs nothing and asks nobody", async () => {
  const dir = await filled(async (sql) => {
    for (const [at, payload] of PAYLOADS.entries()) {
      const cluster = `bad-${at}`;
      const { codePointAt } = String.prototype;
      await addCluster(sql, cluster, { policy: null, state: "refusing", reason: payload });
      await sql.run("update clusters set version = $1 where cluster = $2", payload, cluster);
      await ask(sql, cluster, { state: "failed", by: payload.slice(0, 64), why: payload.slice(0, 64), code: payload });
      await sql.run(
        "insert into alarms (cluster, kind, about, words, at) values ($1, 'copy', 'x', $2, 1)",
        cluster,
        payload,
      );
      const purl = `pkg:npm/${[...payload].filter((char) => (codePointAt.call(char, 0) ?? 0) > 32 && char < "\u007f").join("")}@1`;
      await keep(sql, cluster, [purl], payload.replace(/[^ -~]/g, "?"));
    }
  });
  const hostile = await paged(dir);
  const seen = await person();
  const { page } = seen;
  const names = new Set<string>();
  let text = "";
  const views = ["/", "/alarms", ...PAYLOADS.map((_, at) => `/cluster/bad-${at}`)];
  for (const payload of PAYLOADS) {
    const word = encodeURIComponent(payload);
    views.push(
      `/?name=${word}`,
      `/libraries?name=${word}&version=${word}`,
      `/cluster/bad-0?libraries=${word}&renew=30`,
    );
  }
  for (const view of views) {
    const answer = await page.goto(hostile.origin + view);
    text += (await page.locator("body").textContent()) ?? "";
    if (answer?.status() !== 200) continue;
    const found = await page.evaluate<string[]>(
      "[...document.querySelectorAll('*')].flatMap((one) => [one.localName, ...one.getAttributeNames().filter((name) => name.startsWith('on')).map((name) => '@' + name)])",
    );
    for (const name of found) names.add(name);
    expect([view, await page.evaluate("document.querySelectorAll('main').length")]).toEqual([view, 1]);
  }
  for (const payload of PAYLOADS.slice(0, -1))
    expect([payload, text.split(payload).length > 4]).toEqual([payload, true]);
  expect(text).toContain("a\\u{202e}b\\u{0}c\\u{200b}d");
  expect(text).not.toContain("\u202e");
  const ours =
    "a body button caption code dd div dl dt form h1 h2 h3 head header html input label li link main meta nav option p select span strong table tbody td th thead time title tr ul";
  expect([...names].filter((name) => !ours.split(" ").includes(name))).toEqual([]);
  expect(await page.evaluate("window.pwned")).toBeUndefined();
  expect(seen.requests.filter((url) => !url.startsWith(`${hostile.origin}/`))).toEqual([]);
  await seen.context.close();
  await hostile.stop();
});
