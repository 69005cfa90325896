import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import type { Browser, Page } from "playwright-core";
import type { EntryBody } from "../../agent/audit/entry.ts";
import { type World, world } from "../audit/world.ts";
import { intent, operation, outcome, POLICY_FILE, refusal, scaleTo, story } from "./log.ts";
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
} from "./stage.ts";

setDefaultTimeout(4 * PATIENCE_MS);
/** What would run, load or leave if any text became markup, code or an address. */
const PAYLOADS = [
  "<script>window.pwned=1</script>",
  "<img src=x onerror=window.pwned=1>",
  '"><svg onload=window.pwned=1>',
  "</pre></li><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
  "javascript:window.pwned=1",
  "<a href=javascript:window.pwned=1 id=main>x</a>",
  "{{constructor.constructor('window.pwned=1')()}}",
  "<style>*{background:url(http://evil.example/leak)}</style>",
  "<base href=http://evil.example/>",
  "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
] as const;
/** Keys that are none of an object's own, or turn text round. */
const KEYS = ["__proto__x", "constructor", "innerHTML", "<b onclick=window.pwned=1>k</b>", "toString"] as const;
let w: World;
let served: Served;
let own: Browser;
let seen: Seen;
let page: Page;

beforeAll(async () => {
  w = await world();
  const log = w.open();
  for (const payload of PAYLOADS) {
    const asked = Object.fromEntries([["group", payload], ["count", payload], ...KEYS.map((key) => [key, payload])]);
    const of = { ...scaleTo(4, payload, payload), asked };
    const facts = Object.fromEntries(KEYS.map((key) => [key, payload]));
    const at = log.size;
    const bodies: EntryBody[] = [
      { ...intent(of, payload.slice(0, 64), facts), resource: payload },
      outcome(of, at, {
        result: "failed",
        code: payload.slice(0, 64),
        changed: [{ what: payload, from: payload, to: payload }],
        operations: [operation(payload, payload, { request: payload, status: payload.slice(0, 64) })],
      }),
      refusal(
        { ...scaleTo(4, payload, payload), asked },
        { because: payload, hint: payload, rule: payload.slice(0, 64), found: payload, limit: payload },
      ),
      { kind: "stopped", why: payload },
      { kind: "gate", code: "gate.operation", command: Bun.randomUUIDv7(), operation: payload, resource: payload },
      {
        kind: "approval",
        approves: payload,
        code: null,
        digest: of.digest,
        key: payload,
        person: payload.slice(0, 64),
        signature: "AAAA",
      },
    ];
    for (const body of bodies) log.append([body]);
  }
  log.append([refusal(scaleTo(4, "maria", "why"), { because: "a\u202eb\u0000c\u200bd" })]);
  story(log);
  log.close();
  served = await serve(["--log", w.folder, "--ca", beside(w.folder, "ca.pem", w.caPem), "--policy", POLICY_FILE]);
  own = await browser();
  seen = await look(own);
  page = seen.page;
  await open(seen, served);
});
afterAll(async () => {
  await own?.close();
  await endServers();
  clear(w.folder);
});

test("nothing in an entry is ever markup: what is hostile stands there as text, runs nothing and asks nobody", async () => {
  while (await page.locator("button:has-text('Older')").isVisible()) {
    await page.click("button:has-text('Older')");
    await checked(page);
  }
  const summaries = page.locator(".row summary");
  const rows = await summaries.count();
  expect(rows).toBeGreaterThan(5 * PAYLOADS.length);
  for (let at = 0; at < rows; at++) await summaries.nth(at).click();
  await page.locator(".row >> nth=-1").locator(".mark[data-checked=yes]").first().waitFor();
  expect(await page.locator(".mark[data-checked=no]").count()).toBe(0);
  const text = (await page.locator("#main").textContent()) ?? "";
  for (const payload of PAYLOADS) expect([payload, text.split(payload).length > 6]).toEqual([payload, true]);
  for (const key of KEYS) expect([key, text.includes(key)]).toEqual([key, true]);
  expect(text).toContain("a\\u{202e}b\\u{0}c\\u{200b}d");
  // Everything that is there was made by our own code: no element and no attribute that it does not make.
  const names = await page.evaluate<string[]>(
    "[...new Set([...document.querySelectorAll('#main *')].map((each) => each.localName))].sort()",
  );
  const ours = [
    "button",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "form",
    "h2",
    "h3",
    "input",
    "label",
    "li",
    "ol",
    "option",
    "p",
    "pre",
    "select",
    "span",
    "summary",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "time",
    "tr",
    "ul",
  ];
  expect(names.filter((name) => !ours.includes(name))).toEqual([]);
  const attributes = await page.evaluate<string[]>(
    "[...new Set([...document.querySelectorAll('#main *')].flatMap((each) => each.getAttributeNames()))]",
  );
  expect(
    attributes.filter((name) => name.startsWith("on") || ["href", "src", "style", "srcdoc"].includes(name)),
  ).toEqual([]);
  await page.click("nav a[data-view=policy]");
  await page.locator(".rule-card .used").first().waitFor();
  expect((await page.locator("#main").textContent()) ?? "").toContain("<script>window.pwned=1</script>");
  expect(await page.evaluate("String(window.pwned)")).toBe("undefined");
  expect(seen.complaints).toEqual([]);
});

test("no request leaves the machine, and the page's own policy for content would let none", async () => {
  expect(seen.requests.length).toBeGreaterThan(6);
  expect([...new Set(seen.requests.map((url) => new URL(url).origin))]).toEqual([served.origin]);
  const tried = await page.evaluate<string[]>(`(async () => {
    const refused = [];
    const note = (what, act) => act().then(() => undefined, () => refused.push(what));
    await note("fetch", () => fetch("http://127.0.0.1:9/"));
    await note("markup", async () => { document.body.innerHTML = "<b>x</b>"; });
    await note("worker", async () => new Worker("data:text/javascript,1"));
    await note("script", () => new Promise((good, bad) => {
      const script = document.createElement("script");
      script.onload = good; script.onerror = bad; script.setAttribute("src", "data:text/javascript,1");
      document.body.append(script);
    }));
    await note("image", () => new Promise((good, bad) => {
      const image = new Image(); image.onload = good; image.onerror = bad; image.src = "/page.css"; document.body.append(image);
    }));
    await note("inline", async () => {
      const script = document.createElement("script"); script.append("window.inlined = 1"); document.body.append(script);
      if (window.inlined !== 1) throw new Error();
    });
    return refused;
  })()`);
  expect(tried.sort()).toEqual(["fetch", "image", "inline", "markup", "script", "worker"]);
});

test("the address is good once: opened again, or by another browser, it shows nothing", async () => {
  const other = await look(own);
  await other.page.goto(served.address);
  await other.page.locator("[role=alert]", { hasText: "Run `reeve audit ui` again" }).waitFor();
  expect(other.page.url()).toBe(`${served.origin}/`);
  expect(await other.page.locator(".row").count()).toBe(0);
  expect(other.requests.filter((url) => url.includes("/api/"))).toEqual([]);
  await other.context.close();
  const [cookie, ...more] = await seen.context.cookies();
  expect(more).toEqual([]);
  expect(cookie).toMatchObject({
    name: "reeve_ui",
    httpOnly: true,
    sameSite: "Strict",
    domain: "127.0.0.1",
    path: "/",
  });
  expect(await page.evaluate("document.cookie")).toBe("");
  // The cookie alone, as another port of this machine could be handed it, reads nothing.
  const answer = await page.evaluate<number>("fetch('/api/rows').then((answer) => answer.status)");
  expect(answer).toBe(401);
});

type Answer = { readonly status: number; readonly head: string; readonly body: string };

/** One request as bytes, as nothing that normalises would send it. */
function raw(target: string, headers: readonly string[], method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(served.port, "127.0.0.1");
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [head = "", body = ""] = text.split("\r\n\r\n", 2);
      resolve({ status: Number(head.split(" ")[1]), head, body });
    });
    socket.write(`${[`${method} ${target} HTTP/1.1`, ...headers, "Connection: close"].join("\r\n")}\r\n\r\n`);
  });
}

/** What this page's own request says, with both secrets. */
async function secrets(): Promise<string[]> {
  const [cookie] = await seen.context.cookies();
  const key = await page.evaluate<string>("sessionStorage.getItem('reeve-key')");
  return [`Cookie: reeve_ui=${cookie?.value}`, `X-Reeve-Key: ${key}`, "Sec-Fetch-Site: same-origin"];
}

test("with both secrets, still only our own name, origin and site are answered", async () => {
  const host = `Host: 127.0.0.1:${served.port}`;
  const own = await secrets();
  expect((await raw("/api/rows", [host, ...own])).status).toBe(200);
  expect((await raw("/api/rows", [host, ...own, `Origin: ${served.origin}`])).status).toBe(200);
  const [cookie, key] = own;
  for (const [headers, status] of [
    [[`Host: evil.example:${served.port}`, ...own], 421],
    [["Host: evil.example", ...own], 421],
    [[host, ...own, "Origin: http://evil.example"], 403],
    [[host, ...own, "Origin: null"], 403],
    [[host, cookie, key, "Sec-Fetch-Site: cross-site"], 403],
    [[host, cookie, key, "Sec-Fetch-Site: same-site"], 403],
    [[host, cookie, key], 403],
    [[host, cookie, "Sec-Fetch-Site: same-origin"], 401],
    [[host, key, "Sec-Fetch-Site: same-origin"], 401],
  ] as [string[], number][]) {
    const answer = await raw("/api/rows", headers);
    expect([headers.join(), answer.status, answer.body.includes("vendor")]).toEqual([headers.join(), status, false]);
    expect(answer.head.toLowerCase()).toContain("content-security-policy: default-src 'none'");
  }
  for (const method of ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
    expect([method, (await raw("/api/rows", [host, ...own], method)).status]).toEqual([method, 405]);
});

test("a name of others' that leads here (DNS rebinding) is not answered, whatever the browser believes", async () => {
  const rebound = await browser([`--host-resolver-rules=MAP evil.example 127.0.0.1`]);
  const there = await look(rebound);
  const answer = await there.page.goto(`http://evil.example:${served.port}/`);
  expect(answer?.status()).toBe(421);
  expect(await there.page.textContent("body")).toContain("refused: host");
  const status = await there.page.evaluate<number>(
    "fetch('/session', { method: 'POST' }).then((answer) => answer.status)",
  );
  expect(status).toBe(421);
  await rebound.close();
});

test("no path leads to a file: only the page's own addresses and the segments of the log are there", async () => {
  const host = `Host: 127.0.0.1:${served.port}`;
  const own = await secrets();
  const paths = [
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/api/../../etc/passwd",
    "/api/lines/../../checkpoints",
    "/api/lines?segment=../checkpoints",
    "/api/lines?segment=%2e%2e%2fcheckpoints",
    "/api/lines?segment=00000000000000000000",
    "/api/lines?segment=1",
    "/api/lines?segment=0%00",
    "/api/lines",
    "/page.js/../../../etc/passwd",
    "/checkpoints",
    "/00000000000000000000.jsonl",
    "/page.ts",
  ];
  for (const path of paths) {
    const answer = await raw(path, [host, ...own]);
    expect([path, answer.status]).toEqual([path, answer.status === 400 ? 400 : 404]);
    expect(answer.body).not.toContain("root:");
    expect(answer.body).not.toContain("spiffe:");
  }
  expect((await raw("/api/lines?segment=0", [host, ...own])).body).toContain("spiffe:");
  expect((await raw("/api/rows?before=../../x:1", [host, ...own])).status).toBe(200);
  expect((await raw("/api/rows?before=99999:99999999", [host, ...own])).status).toBe(200);
  expect((await raw("/api/rows?colour=red", [host, ...own])).status).toBe(400);
});
