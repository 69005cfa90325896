import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EntryBody } from "../agent/audit/entry.ts";
import type { Log } from "../agent/audit/log.ts";
import { type Effort, type Figure, inMilliseconds, median, times } from "./figure.ts";
import { benchLog, sampleEntry } from "./log.ts";

const REEVE = join(import.meta.dirname, "..", "dist", "reeve");
const CHROMIUM = "/usr/bin/chromium";
const FIRST_ROWS_MS = 1000;
const MEMORY_TIMES = 1.5;
const PATIENCE_MS = 120_000;

/** What the log's reader for others costs: export's speed and memory, and how soon the page shows commands, by the log's length. */
export async function uiFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const sizes = (quick ? [10_000, 100_000] : [10_000, 100_000, 1_000_000]).map((entries) => {
    const own = join(scratch, `ui-${entries}`);
    mkdirSync(own);
    const log = benchLog(own);
    fill(log, entries);
    log.close();
    return { entries, folder: join(own, "audit"), rounds: [] as { milliseconds: number; megabytes: number }[] };
  });
  const exports = sizes.map(({ entries, folder }) => ({ entries, ...exported(folder) }));
  // In turn, so that what else the machine does meets all lengths.
  for (let round = 0; round < (quick ? 2 : 5); round++)
    for (const { folder, rounds } of sizes) rounds.push(await painted(folder));
  const paints = sizes.map(({ entries, rounds }) => ({
    entries,
    milliseconds: median(rounds.map(({ milliseconds }) => milliseconds)),
    megabytes: Math.max(...rounds.map(({ megabytes }) => megabytes)),
  }));
  const least = exports[0]?.megabytes ?? Number.NaN;
  return [
    ...exports.map(({ entries, seconds, megabytes }) => ({
      what: `audit export, ${entries.toLocaleString("en")} entries`,
      ours: `${Math.round(entries / seconds).toLocaleString("en")}/s, ${megabytes.toFixed(0)} MB`,
      beside: `at 10,000 entries ${least.toFixed(0)} MB`,
      ratio: times(megabytes / least),
      target: `within ${MEMORY_TIMES}×`,
      reached: megabytes <= MEMORY_TIMES * least,
    })),
    ...paints.map(({ entries, milliseconds, megabytes }) => ({
      what: `audit ui, first rows in Chromium, ${entries.toLocaleString("en")} entries`,
      ours: `${inMilliseconds(milliseconds * 1e6)}, server ${megabytes.toFixed(0)} MB`,
      beside: "",
      ratio: "",
      target: `under ${FIRST_ROWS_MS} ms`,
      reached: milliseconds < FIRST_ROWS_MS,
    })),
  ];
}

/** Most of it refusals, with a command that was carried out now and then, and at the end. */
function fill(log: Log, entries: number): void {
  while (log.size < entries - 2) {
    const more = Math.min(1000, entries - 2 - log.size);
    log.append(Array.from({ length: more }, () => sampleEntry(Bun.randomUUIDv7())));
  }
  const refused = sampleEntry(Bun.randomUUIDv7()) as Extract<EntryBody, { kind: "refused" }>;
  const { action, asked, by, command, digest, exp } = refused;
  const allowed = { policy: refused.policy ?? "", rule: "brokers-grow" };
  const asking = { action, asked, by, command, digest, exp };
  log.append([
    { ...asking, kind: "intent", allowed, found: { count: 7 }, resource: "group", signed: "a.b.c", csr: null },
  ]);
  log.append([
    {
      kind: "outcome",
      command,
      intent: log.size - 1,
      result: "succeeded",
      code: null,
      known_by: "answer",
      changed: [],
      operations: [],
      certificate: null,
      details: null,
    },
  ]);
}

function exported(folder: string): { seconds: number; megabytes: number } {
  const words = ["-f", "%e %M", REEVE, "audit", "export", "--format", "ocsf", "--log", folder];
  const done = spawnSync("/usr/bin/time", words, {
    env: { PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [seconds, kilobytes] = String(done.stderr).trim().split(" ").map(Number);
  if (done.status !== 0 || seconds === undefined || kilobytes === undefined) throw new Error(String(done.stderr));
  return { seconds, megabytes: kilobytes / 1024 };
}

/** One server and one browser, both started anew: from the address being opened to rows that stand. */
async function painted(folder: string): Promise<{ milliseconds: number; megabytes: number }> {
  // Only here: without a browser the other figures can be had.
  const { chromium } = await import("playwright-core");
  const server = spawn(REEVE, ["audit", "ui", "--log", folder], { env: {}, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const address = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (bytes: Buffer) => resolve(bytes.toString().trim()));
    server.once("exit", (code) => reject(new Error(`reeve audit ui ended with ${code}`)));
  });
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
    timeout: PATIENCE_MS,
  });
  try {
    const page = await browser.newPage();
    await page.goto(address);
    await page.locator("#main[aria-busy=false] .row").first().waitFor({ timeout: PATIENCE_MS });
    const milliseconds = await page.evaluate<number>("performance.getEntriesByName('rows')[0].startTime");
    const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
    return { milliseconds, megabytes: Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024 };
  } finally {
    await browser.close();
    server.kill("SIGTERM");
    await ended;
  }
}
