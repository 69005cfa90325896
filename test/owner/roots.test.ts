import { afterEach, beforeAll, expect, test } from "bun:test";
import { createHash, X509Certificate } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CONTROL, type Ran, ran, send, type World, type WorldOptions, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";
import { age } from "./aged.ts";

/** Roots by overlapping bundles, through the compiled executables. */
beforeAll(() => requireDebian({ strace: "strace", setpriv: "util-linux", openssl: "openssl" }), 300_000);
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

async function begin(options: WorldOptions = {}) {
  w = await world({ rotation: "automatic", ...options });
  const agent = w.startAgent();
  await ready();
  expect(scale(1).code).toBe(0);
  return agent;
}
const ready = () => w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
const scale = (count: number): Ran => send(w, "scale", "--group", "brokers", "--count", String(count));
const rootNow = (): string => shaOf(readFileSync(w.root, "utf8"));
const shaOf = (pem: string): string => createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
function done(ran: Ran): string {
  expect([ran.stderr, ran.code]).toEqual(["", 0]);
  return ran.stdout;
}
const ca = (verb: string, ...args: string[]): Ran => w.vendor(`ca ${verb}`, ...args);
const rotate = (...args: string[]): Ran => w.vendor("keys rotate", "--all", "--keys", w.keys, ...args);
const accepted = (version: number) =>
  w.until(`the agent accepts statement ${version}`, () => {
    const shown = w.vendor("keys show", "--cluster", "prod-eu-1", "--json");
    return (JSON.parse(shown.stdout) as { accepted: number }).accepted === version;
  });
async function restart(): Promise<void> {
  await w.stopControl();
  await w.startControl();
}
/** The root whose certificate the agent holds. */
function agentsRoot(): string {
  const kept = JSON.parse(readFileSync(join(w.state, "identity/agent.json"), "utf8"));
  const { chain } = (kept.next ?? kept.current) as { chain: string[] };
  return createHash("sha256")
    .update(Buffer.from(chain.at(-1) ?? "", "base64"))
    .digest("hex");
}

test("from one root to the next, an agent works all the way, renews onto the new one, and a new machine joins by it", async () => {
  const agent = await begin();
  const before = rootNow();
  const after = JSON.parse(done(ca("new-root", "--json"))).root_sha256 as string;
  expect(rootNow()).toBe(before);
  await restart();
  const early = ca("use-root", after);
  expect([early.code, early.stderr]).toEqual([1, expect.stringContaining("prod-eu-1 has no statement that names it")]);
  done(rotate("--add-root", after.slice(0, 12)));
  await accepted(2);
  expect(done(ca("use-root", after))).toContain("restart serve");
  expect(rootNow()).toBe(after);
  await restart();
  // The old certificate, against a server that shows the new root.
  expect(scale(2).code).toBe(0);
  expect(agentsRoot()).toBe(before);
  const leaning = ca("drop-root", before);
  expect([leaning.code, leaning.stderr]).toEqual([1, expect.stringContaining("prod-eu-1 names it in statement 2")]);
  const gone = new Promise((end) => agent.once("exit", end));
  agent.kill("SIGTERM");
  await gone;
  await age(w, join(w.data, `ca/roots/${before}.pem`), join(w.data, `ca/roots/${before}.key`));
  done(rotate("--drop-root", before));
  const held = ca("drop-root", before);
  expect([held.code, held.stderr]).toEqual([1, expect.stringContaining("has an agent whose certificate is by it")]);
  w.startAgent();
  await w.until("the certificate is renewed", () => w.entries().some((entry) => entry["kind"] === "renewed"));
  await accepted(3);
  expect(agentsRoot()).toBe(after);
  expect(scale(1).code).toBe(0);
  done(ca("drop-root", before));
  expect(readdirSync(join(w.data, "ca/roots")).sort()).toEqual(
    [`${after}.key`, `${after}.pem`, `${before}.dropped`].sort(),
  );
  expect(existsSync(join(w.data, "ca/root.key"))).toBe(false);
  await restart();
  expect(scale(2).code).toBe(0);
  const log = w.reeve(["audit", "verify"], "--ca", join(w.data, `ca/roots/${before}.dropped`));
  expect(log.code).toBe(11);
  const second = w.newMachine("second", w.newToken());
  second.startAgent();
  await w.until("the second machine is ready", () => second.reeve(["status"], "--json").code === 0);
  // A later epoch has no memory, so rates count as used up: that is its answer, and it is one.
  expect(scale(1).code).toBe(1);
  expect(second.entries().at(-1)?.["code"]).toBe("policy.rate");
}, 180_000);

test("a switch that would lose an agent names it, goes through only when exactly that one is given up, and can be taken back", async () => {
  const agent = await begin();
  const gone = new Promise((end) => agent.once("exit", end));
  agent.kill("SIGTERM");
  await gone;
  const before = rootNow();
  const { root_sha256: after } = JSON.parse(done(ca("new-root", "--json"))) as { root_sha256: string };
  // A cluster that begins in the overlap knows both roots from its first statement on.
  expect(w.vendor("token", "--cluster", "prod-us-1", "--keys", w.keys).code).toBe(0);
  const told = JSON.parse(done(rotate("--add-root", after, "--json"))) as { clusters: { result: string }[] };
  expect(told.clusters.map((one) => one.result)).toEqual(["signed", "unchanged"]);
  for (const leave of [[], ["--leave-behind", "prod-us-1"]]) {
    const refused = ca("use-root", after, ...leave);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("prod-eu-1 has accepted statement 1, and 2 is the first that names it");
    expect(refused.stderr).toContain("--leave-behind prod-eu-1");
    expect(rootNow()).toBe(before);
  }
  const switched = ca("use-root", after, "--leave-behind", "prod-eu-1");
  expect([switched.code, rootNow()]).toEqual([0, after]);
  expect(switched.stderr).toContain("left behind: prod-eu-1");
  expect(switched.stderr).toContain("1 join token(s) are not used yet");
  await restart();
  w.startAgent();
  const lost = (): boolean =>
    JSON.parse(w.reeve(["status"], "--json").stdout || "{}").out_of_contact?.reason?.startsWith("tls");
  await w.until("the agent does not take the new root", lost);
  expect([ca("use-root", before).code, rootNow()]).toEqual([0, before]);
  await restart();
  await w.until("the agent is back", () => !lost(), 70);
  await accepted(2);
  expect(scale(2).code).toBe(0);
}, 180_000);

test("only the user who serves changes the roots: a key of another's could not be read", async () => {
  w = await world({ serveAs: 65534 });
  const refused = ca("new-root");
  expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("belongs to user 65534")]);
  const as = ["--reuid", "65534", "--regid", "65534", "--clear-groups", join(w.folder, "served/reeve-control")];
  const made = JSON.parse(done(ran("setpriv", ...as, "ca", "new-root", "--dir", w.data, "--json")));
  expect(w.vendor("token", "--cluster", "prod-eu-1", "--keys", w.keys).code).toBe(0);
  expect(w.vendor("keys show", "--cluster", "prod-eu-1", "--json").stdout).toContain(made.root_sha256);
}, 60_000);

const CALLS = ["mkdir", "rename", "unlink", "fdatasync", "fsync"];
/** How often the main thread makes each of these calls, from a run that is left alone. strace counts `when=` per thread. */
function points(trace: string): [string, number][] {
  const lines = readFileSync(trace, "utf8").split("\n");
  const main = lines[0]?.split(/\s+/)[0] ?? "";
  return CALLS.map((call) => [
    call,
    lines.filter((line) => line.startsWith(`${main} `) && line.includes(` ${call}(`)).length,
  ]);
}

/** `serve` on this folder, under `before`, until it says that it listens (then it is stopped), or ends. Null: it ended. */
async function served(dir: string, ...before: string[]): Promise<string | null> {
  const args = [...before, CONTROL, "serve", "--dir", dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const child = Bun.spawn(args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, stdout: "pipe", stderr: "ignore" });
  const { value } = await child.stdout.getReader().read();
  child.kill("SIGTERM");
  await child.exited;
  return value === undefined
    ? null
    : (JSON.parse(Buffer.from(value).toString()) as { root_sha256: string }).root_sha256;
}

test("kill -9 at each write of a change of roots leaves a control plane that starts, and the same command again finishes it", async () => {
  w = await world();
  expect(w.vendor("token", "--cluster", "prod-eu-1", "--keys", w.keys).code).toBe(0);
  await w.stopControl();
  const stage = (name: string): string => join(w.folder, name);
  const copy = (from: string): string => {
    rmSync(stage("copy"), { recursive: true, force: true });
    cpSync(from, stage("copy"), { recursive: true });
    return stage("copy");
  };
  const first = rootNow();
  let killed = 0;
  /** Runs `verb` on copies of `from`, killed at each point, then whole on `from` itself. `finished`: what a second run on a copy must leave. */
  const throughout = async (
    from: string,
    verb: (dir: string, ...before: string[]) => Promise<unknown>,
    finished: (dir: string) => Promise<void>,
  ) => {
    await verb(copy(from), "strace", "-D", "-f", "-qq", "-o", stage("trace"), "-e", `trace=${CALLS.join(",")}`);
    for (const [call, times] of points(stage("trace")))
      for (let at = 1; at <= times; at++) {
        const dir = copy(from);
        await verb(
          dir,
          "strace",
          "-D",
          "-f",
          "-qq",
          "-o",
          "/dev/null",
          "-e",
          `inject=${call}:signal=SIGKILL:when=${at}`,
        );
        killed++;
        // A root that is there has its key, at every moment: it may be switched to.
        const there = existsSync(join(dir, "ca/roots")) ? readdirSync(join(dir, "ca/roots")) : [];
        const alone = there.filter((name) => name.endsWith(".pem") && !there.includes(name.replace(".pem", ".key")));
        expect([call, at, alone]).toEqual([call, at, []]);
        expect([call, at, await served(dir)]).toEqual([call, at, expect.stringMatching(/^[0-9a-f]{64}$/)]);
        await verb(dir);
        await finished(dir);
        // No half-written key is left lying about.
        expect(
          readdirSync(join(dir, "ca/roots")).filter((name) => !/^[0-9a-f]{64}\.(?:key|pem|dropped)$/.test(name)),
        ).toEqual([]);
      }
    await verb(from);
  };
  /** The exit code; null when it was killed. */
  const run = async (dir: string, before: string[], ...args: string[]): Promise<number | null> => {
    const [program = CONTROL, ...rest] = [...before, CONTROL, ...args, "--dir", dir];
    return ran(program, ...rest).code;
  };
  const states = (dir: string): Record<string, string> =>
    Object.fromEntries(
      (
        JSON.parse(done(ran(CONTROL, "ca", "show", "--dir", dir, "--json"))).roots as {
          sha256: string;
          state: string;
        }[]
      ).map((root) => [root.sha256, root.state]),
    );
  await throughout(
    w.data,
    (dir, ...before) => run(dir, before, "ca", "new-root"),
    async (dir) => expect(Object.values(states(dir))).toContain("beside"),
  );
  const after = Object.keys(states(w.data)).find((sha) => sha !== first) ?? "";
  done(rotate("--add-root", after, "--json"));
  await throughout(
    w.data,
    (dir, ...before) => run(dir, before, "ca", "use-root", after),
    async (dir) => expect(await served(dir)).toBe(after),
  );
  await throughout(
    w.data,
    (dir, ...before) => served(dir, ...before),
    async (dir) =>
      expect(ran("openssl", "verify", "-CAfile", join(dir, "ca/root.pem"), join(dir, "ca/server.pem")).code).toBe(0),
  );
  done(rotate("--drop-root", first, "--json"));
  await throughout(
    w.data,
    (dir, ...before) => run(dir, before, "ca", "drop-root", first),
    async (dir) => {
      expect(states(dir)[first]).toBe("dropped");
      expect([existsSync(join(dir, "ca/root.key")), existsSync(join(dir, `ca/roots/${first}.key`))]).toEqual([
        false,
        false,
      ]);
    },
  );
  expect(states(w.data)).toEqual({ [after]: "in use", [first]: "dropped" });
  console.log(`killed at ${killed} points`);
  expect(killed).toBeGreaterThan(20);
}, 300_000);
