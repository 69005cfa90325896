import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from "playwright-core";
import { ROOT } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";

/** `reeve audit ui` as the customer runs it, and a real browser that looks at it. */
export const REEVE = join(ROOT, "dist", "reeve");
/** For every wait: a loaded machine may take many times what an idle one does. */
export const PATIENCE_MS = 120_000;

export type Served = {
  /** What was printed: good once. */
  readonly address: string;
  readonly origin: string;
  readonly port: number;
  stop(): Promise<void>;
};

/** Servers that a test has not stopped, because it failed before it could. */
const living = new Set<ChildProcessByStdio<null, Readable, Readable>>();

/** For the end of a file: no server outlives it. */
export async function endServers(): Promise<void> {
  for (const child of living) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}

/** Starts the server and resolves when it has printed its address. */
export async function serve(words: readonly string[]): Promise<Served> {
  if (!existsSync(REEVE)) throw new Error("dist/reeve is not there: bun run build");
  const child = spawn(REEVE, ["audit", "ui", ...words], { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  living.add(child);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.once("exit", () => living.delete(child));
  const address = await firstLine(child, ended);
  const { origin, port } = new URL(address);
  return {
    address,
    origin,
    port: Number(port),
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

async function firstLine(child: ChildProcessByStdio<null, Readable, Readable>, ended: Promise<void>): Promise<string> {
  let out = "";
  let err = "";
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes.toString();
  });
  const line = new Promise<string>((resolve) => {
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
      const end = out.indexOf("\n");
      if (end >= 0) resolve(out.slice(0, end));
    });
  });
  const first = await Promise.race([line, ended.then(() => null)]);
  if (first === null) throw new Error(`reeve audit ui ended: ${err}`);
  return first;
}

/** Files beside a log, taken away with it. */
export function beside(folder: string, name: string, text: string): string {
  const path = join(dirname(folder), name);
  writeFileSync(path, text);
  return path;
}

export function clear(folder: string): void {
  rmSync(dirname(folder), { recursive: true, force: true });
}

export async function browser(more: readonly string[] = []): Promise<Browser> {
  requireDebian({ chromium: "chromium" });
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    // A machine without user namespaces, root, or a small /dev/shm: all of them are CI's.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", ...more],
    timeout: PATIENCE_MS,
  });
}

export type Seen = {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Addresses of every request that the page made or tried. */
  readonly requests: string[];
  /** What the browser complained of: script errors, refusals by the policy for content. */
  readonly complaints: string[];
};

/** A person's own window, with nothing of another one's in it. */
export async function look(own: Browser, options: BrowserContextOptions = {}): Promise<Seen> {
  const context = await own.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  context.setDefaultNavigationTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  return { context, page, requests, complaints };
}

/** Opens the one-time address and waits until the first rows stand and the log has been checked. */
export async function open(seen: Seen, served: Served): Promise<void> {
  await seen.page.goto(served.address);
  await checked(seen.page);
}

export async function checked(page: Page): Promise<void> {
  await page.locator("#main[aria-busy=false]").waitFor();
  await page.locator("#verdict[data-state]:not([data-state=checking])").waitFor();
}

/** An element's text in one line, as a person sees it. */
export async function wordsOf(locator: Locator): Promise<string> {
  // biome-ignore lint/performance/useDomNodeTextContent: what is laid out apart is to be read apart
  return (await locator.innerText()).replace(/\s+/g, " ").trim();
}

/** A computed style of the first element of a selector. */
export function styleOf(page: Page, selector: string, property: string): Promise<string> {
  return page.evaluate(
    `getComputedStyle(document.querySelector(${JSON.stringify(selector)}))[${JSON.stringify(property)}]`,
  );
}
