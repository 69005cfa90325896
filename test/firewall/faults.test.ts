import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cannot } from "./namespaces.ts";
import { type Stage, stage } from "./stage.ts";

/** What can go wrong with a control plane, or stand in its place, while the application serves its users: real nginx, BIND, namespaces. */
const unable = cannot();
const MAX_MEMORY_KB = 150 * 1024;
let s: Stage;
beforeAll(async () => {
  if (unable === null) s = await stage();
}, 240_000);
afterAll(async () => {
  await s?.end();
}, 60_000);
if (unable !== null) console.log(`      skipped: this machine makes no network namespaces: ${unable}`);

/** The most that the agent ever held, as the kernel counts it. */
const peakKb = (): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${s.pid()}/status`, "utf8"))?.[1] ?? Number.NaN);

/** Lets a fault come and go: meanwhile nothing changes, nothing is lost, the owner is told why; after it there is contact again. */
async function through(reason: RegExp, come: () => Promise<unknown>, go: () => Promise<unknown>): Promise<void> {
  await s.contact();
  const before = { world: s.world(), entries: s.entries().length, served: s.said.load.served, pid: s.pid() };
  try {
    await come();
    await s.until(`the agent says ${reason}`, () => reason.test(s.status().out_of_contact?.reason ?? ""));
    await s.until("users are served", () => s.said.load.served > before.served + 20);
    expect(s.statusText()).toMatch(/^contact +none since /m);
    expect(s.world()).toBe(before.world);
    expect(s.entries().length).toBe(before.entries);
  } finally {
    await go();
  }
  await s.contact();
  expect(s.pid()).toBe(before.pid);
  expect(s.said.load).toMatchObject({ lost: 0, why: "" });
  expect(peakKb()).toBeLessThan(MAX_MEMORY_KB);
}

describe.skipIf(unable !== null)("while the application serves its users", () => {
  test("the control plane is killed and started again", async () => {
    await through(
      /^(?:reset|closed|refused)$/,
      () => s.stopControl(),
      () => s.startControl(),
    );
  }, 240_000);

  test("its disk is full: it says so itself, takes nothing, loses nothing, and goes on when there is room", async () => {
    const filler = join(s.folder, "control/filler");
    await through(
      /^(?:unavailable|answer|reset)/,
      async () => {
        for (let size = 1024 * 1024; size > 0 && statfsSync(join(s.folder, "control")).bavail > 0; size >>= 1)
          fill(filler, size);
        await s.front("pass");
      },
      async () => rmSync(filler),
    );
    const id = s.send("1h", [], "update-dns", ...record("full"));
    await s.until("a command is carried out after it", () => s.decided(id)?.["result"] === "succeeded");
  }, 240_000);

  test("its name is gone", async () => {
    await through(
      /^dns$/,
      async () => {
        s.name(false);
        await s.front("away");
        await s.until(
          "what the machine remembered of the name is over",
          () => s.status().out_of_contact?.reason === "dns",
        );
      },
      async () => {
        s.name(true);
        await s.front("pass");
      },
    );
  }, 240_000);

  test("its clock is an hour ahead: the agent's own clock judges what it signs", async () => {
    await s.contact();
    const before = s.world();
    await s.stopControl();
    await s.startControl(["faketime", "-f", "+3600s"]);
    await s.contact();
    const ahead = s.send("2h", ["faketime", "-f", "+3600s"], "update-dns", ...record("ahead"));
    await s.until("it is refused", () => s.decided(ahead) !== undefined);
    expect(s.decided(ahead)?.["code"]).toBe("verify.not-yet-valid");
    expect(s.world()).toBe(before);
    const right = s.send("2h", [], "update-dns", ...record("right"));
    await s.until(
      "what was signed by a right clock is carried out",
      () => s.decided(right)?.["result"] === "succeeded",
    );
    await s.stopControl();
    await s.startControl();
    await s.contact();
    expect(s.said.load).toMatchObject({ lost: 0, why: "" });
  }, 240_000);

  for (const [what, mode, reason] of [
    ["TLS is intercepted by another CA", "intercept", /^tls: /],
    ["it redirects", "redirect", /^answer: redirect$/],
    ["it answers with 10 GB", "huge", /^answer: too long$/],
    ["it answers with a gzip bomb", "bomb", /^answer: compressed$/],
    ["connections are accepted and nothing is ever answered", "stall", /^timeout$/],
    ["answers come with one byte a second", "drip", /^timeout$/],
  ] as const) {
    test(what, async () => {
      await through(
        reason,
        () => s.front(mode),
        async () => {
          const { connections, sent } = await s.front("pass");
          console.log(`      ${mode}: ${connections} connections, ${sent} bytes of a long answer were taken from it`);
          if (mode === "huge") expect(sent).toBeLessThan(connections * 8 * 1024 * 1024);
        },
      );
    }, 240_000);
  }

  test("after all of it the log is whole, and no request was lost", () => {
    expect(s.verify().code).toBe(11);
    const { served, lost } = s.said.load;
    console.log(`      ${served} requests served, lost ${lost}, peak of the agent ${Math.round(peakKb() / 1024)} MB`);
    expect(lost).toBe(0);
  }, 60_000);
});

function record(host: string): string[] {
  const of = ["--zone", "example.com", "--name", `${host}.prod-eu-1.example.com`, "--type", "A", "--change", "create"];
  return [...of, "--value", "10.77.3.2", "--ttl", "60s"];
}

function fill(path: string, size: number): void {
  try {
    for (;;) writeFileSync(path, Buffer.alloc(size), { flag: "a" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
