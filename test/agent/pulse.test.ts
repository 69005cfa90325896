import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOOP_SILENT_MAX_SECONDS, STOP_DEADLINE_SECONDS } from "../../agent/limits.ts";
import { type Contact, reporter } from "../../agent/poll.ts";
import { keepAlive, pulse } from "../../agent/pulse.ts";
import { ROOT } from "../../build/command.ts";
import { until } from "../boot/ran.ts";

/** Seconds of `length` in which systemd is told that the agent lives, asked every ten. `at`: what happens in each second. */
async function told(length: number, at: (second: number, heart: ReturnType<typeof pulse>) => void): Promise<number[]> {
  let second = 0;
  const heart = pulse(() => second * 1000);
  const pings: number[] = [];
  const said: string[] = [];
  const end = new AbortController();
  const sleep = async (milliseconds: number): Promise<void> => {
    for (const until = second + milliseconds / 1000; second < until; second++) at(second, heart);
    if (second >= length) end.abort();
  };
  const watchdog = { everyMs: 10_000, ping: () => void pings.push(second) };
  await keepAlive(watchdog, heart, { sleep }, (silent) => void said.push(silent), end.signal);
  // Said once, and only when it hangs.
  expect(said.length).toBe(pings.length * 10 < length ? 1 : 0);
  return pings;
}

const everyTen = (from: number, to: number): number[] =>
  Array.from({ length: Math.floor((to - from) / 10) + 1 }, (_, at) => from + at * 10);

test("systemd is told that the agent lives for as long as both loops go round", async () => {
  const pings = await told(1000, (_, heart) => {
    heart.beat("contact");
    heart.beat("look");
  });
  expect(pings).toEqual(everyTen(0, 990));
});

test.each(["contact", "look"] as const)(
  "when the loop %s hangs, the timer alone tells systemd nothing any more",
  async (hangs) => {
    const pings = await told(1000, (second, heart) => {
      heart.beat(hangs === "contact" ? "look" : "contact");
      if (second <= 300) heart.beat(hangs);
    });
    expect(pings).toEqual(everyTen(0, 300 + LOOP_SILENT_MAX_SECONDS));
  },
);

test("the loop that hands in counts while it works, and not while it has nothing to do", async () => {
  const both = (heart: ReturnType<typeof pulse>): void => {
    heart.beat("contact");
    heart.beat("look");
  };
  const idle = await told(1000, (second, heart) => {
    both(heart);
    if (second === 100) heart.beat("report");
    if (second === 110) heart.rest("report");
  });
  expect(idle).toEqual(everyTen(0, 990));
  const hung = await told(1000, (second, heart) => {
    both(heart);
    if (second === 100) heart.beat("report");
  });
  expect(hung).toEqual(everyTen(0, 100 + LOOP_SILENT_MAX_SECONDS));
});

test("a poll comes further by what is handed in only while it waits for that, and the loop that hands in says when it works", async () => {
  const stop = new AbortController();
  const [steps, works]: [number[], boolean[]] = [[], []];
  let size = 3;
  let has = 3;
  let answers = true;
  const log = {
    lines: () => ["line"],
    checkpoint: () => "",
    get size() {
      return size;
    },
  };
  const to = {
    host: { clock: { sleep: () => Promise.resolve() }, random: { bytes: () => new Uint8Array(1) } },
    log,
    stop: stop.signal,
    // One entry is taken at a time, after it was asked what is there.
    post: async (_: string, body: () => { entries: string[] }) => {
      if (!answers) await new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
      if (stop.signal.aborted) return { unreachable: "stopped" };
      has += body().entries.length;
      return { ok: { next: has } };
    },
    handedIn: () => undefined,
    contact: () => undefined,
    end: () => undefined,
    reporting: (is: boolean) => void works.push(is),
  } as unknown as Contact;
  const reports = reporter(to);
  const first = reports.flushed();
  const done = reports.run();
  await first;
  size = 6;
  const flushed = reports.flushed(() => void steps.push(has));
  reports.wake();
  await flushed;
  expect(steps).toEqual([4, 5, 6]);
  // Nobody waits for these.
  size = 9;
  reports.wake();
  await until("what came later is handed in", () => (has === 9 && works.at(-1) === false ? true : null));
  expect(steps).toEqual([4, 5, 6]);
  answers = false;
  size = 10;
  reports.wake();
  await until("a report that is not answered", () => (works.at(-1) === true ? true : null));
  stop.abort();
  await done;
});

test("readiness that systemd did not take is sent again until it has", async () => {
  const folder = mkdtempSync(join(tmpdir(), "reeve-notify-"));
  const socket = join(folder, "socket");
  const telling = `const { notifier } = await import(${JSON.stringify(join(ROOT, "agent/host/notify.ts"))});
    notifier(${JSON.stringify(socket)}, (text) => console.error(text))("--ready");
    setInterval(() => undefined, 1000);`;
  // It is there only after the first attempt has failed.
  const hearing = `import socket, sys
sys.stdin.readline()
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(s.recv(4096).decode(), flush=True)`;
  const agent = spawn(process.execPath, ["-e", telling], { stdio: ["ignore", "ignore", "pipe"] });
  const systemd = spawn("python3", ["-c", hearing, socket], { stdio: ["pipe", "pipe", "inherit"] });
  let [said, heard] = ["", ""];
  agent.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  systemd.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  try {
    await until("an attempt that failed", () => (said.includes("it is told again") ? true : null));
    systemd.stdin.write("\n");
    await until("readiness", () => (heard.includes("\n") ? true : null));
    expect(heard).toContain("READY=1");
  } finally {
    agent.kill("SIGKILL");
    systemd.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

test("while running commands are finished before the end the loops stand still and systemd is told, but not for ever", async () => {
  const pings = await told(1000, (second, heart) => {
    if (second === 100) heart.ending();
    if (second >= 100) return;
    heart.beat("contact");
    heart.beat("look");
  });
  expect(pings).toEqual(everyTen(0, 100 + Math.floor(STOP_DEADLINE_SECONDS / 10) * 10));
});
