import { Database } from "bun:sqlite";
import { afterEach, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { openSigner } from "../../control/signer.ts";
import { signStatement, statementOf } from "../../control/statement.ts";
import { ran, send, type World, type WorldOptions, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

/** Trust statements in use, through the compiled executables. */
beforeAll(() => requireDebian({ strace: "strace", setpriv: "util-linux" }), 300_000);
let w: World;
afterEach(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; code?: string; command?: string; version?: number; digest?: string; by?: { key: string } };
const entries = (kind: string): Shown[] => (w.entries() as Shown[]).filter((entry) => entry.kind === kind);
const FIRST = `cmd-${new Date().toISOString().slice(0, 7)}`;

async function begin(options: WorldOptions = {}): Promise<ChildProcess> {
  w = await world({ rotation: "automatic", ...options });
  const agent = w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  return agent;
}
async function stopped(agent: ChildProcess): Promise<void> {
  const gone = new Promise((done) => agent.once("exit", done));
  agent.kill("SIGTERM");
  await gone;
}
function rotate(...args: string[]) {
  return w.vendor("keys rotate", "--cluster", "prod-eu-1", "--keys", w.keys, ...args);
}
function signed(...args: string[]): void {
  const done = rotate(...args);
  expect([done.stderr, done.code]).toEqual(["", 0]);
}
type Trust = { accepted: number; statements: { version: number; digest: string; command_keys: { kid: string }[] }[] };
const trust = (): Trust => JSON.parse(w.vendor("keys show", "--cluster", "prod-eu-1", "--json").stdout);
const scale = (count: number, ...args: string[]) =>
  send(w, "scale", "--group", "brokers", "--count", String(count), ...args);
/** Signed and queued, not waited for. */
function queued(count: number, ...args: string[]): string {
  const sent = w.vendor(
    "send",
    "--keys",
    w.keys,
    "--cluster",
    "prod-eu-1",
    ...args,
    "scale",
    "--group",
    "brokers",
    "--count",
    `${count}`,
  );
  expect([sent.stderr, sent.code]).toEqual(["", 0]);
  return sent.stdout.trim();
}

test("serve runs as a user who cannot read the command keys, and in joining, sending and rotating names no file of theirs", async () => {
  await begin({ serveAs: 65534 });
  const asServer = (...args: string[]) =>
    ran("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", ...args);
  expect(asServer("ls", w.keys).code).not.toBe(0);
  expect(readFileSync(`/proc/${w.control.pid}/status`, "utf8")).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
  expect(scale(1).code).toBe(0);
  signed("--new-key", "second");
  await w.until("the agent accepts statement 2", () => trust().accepted === 2);
  signed("--drop-key", FIRST);
  await w.until("the agent accepts statement 3", () => trust().accepted === 3);
  expect(scale(2).code).toBe(0);
  const fds = `/proc/${w.control.pid}/fd`;
  const held = readdirSync(fds).map((fd) => readlinkSync(join(fds, fd)));
  expect(held.some((path) => path.startsWith(w.data))).toBe(true);
  expect(held.filter((path) => path.startsWith(w.keys))).toEqual([]);
  await w.stopControl();
  const calls = readFileSync(w.trace, "utf8").split("\n");
  // The trace saw what serve does read: its own keys and its state.
  for (const own of ["ca/root.pem", "ca/root.key", "ca/token.key", "state.db"])
    expect([own, calls.some((call) => call.includes(join(w.data, own)))]).toEqual([own, true]);
  expect(calls.filter((call) => call.includes(w.keys) || call.includes("command-"))).toEqual([]);
}, 120_000);

test("an agent that was away during three rotations takes them in order, then the newest key's commands, and none by a dropped key", async () => {
  const agent = await begin();
  expect(scale(1).code).toBe(0);
  await stopped(agent);
  const late = queued(2);
  const told = rotate("--new-key", "second", "--drop-key", FIRST);
  expect(told.stdout).toContain(late);
  signed("--new-key", "third", "--drop-key", "second");
  signed("--new-key", "fourth", "--drop-key", "third");
  w.startAgent();
  await w.until("the agent accepts statement 4", () => trust().accepted === 4);
  const shown = trust();
  expect(entries("trust").map((entry) => [entry.version, entry.digest])).toEqual(
    shown.statements.map((one) => [one.version, one.digest]),
  );
  expect(shown.statements.at(-1)?.command_keys.map((key) => key.kid)).toEqual(["fourth"]);
  await w.until("the late command is refused", () => entries("rejected").length === 1);
  expect(entries("rejected")[0]?.code).toBe("open.key");
  const fate = w.vendor("fleet commands", "--cluster", "prod-eu-1", "--json");
  expect(JSON.parse(fate.stdout).commands.find((one: { command: string }) => one.command === late).state).toBe(
    "refused",
  );
  const sent = scale(2);
  expect(sent.code).toBe(0);
  const intent = entries("intent").at(-1);
  expect([intent?.command, intent?.by?.key]).toEqual([JSON.parse(sent.stdout).command, "fourth"]);
  expect(w.pids().length).toBe(2);
}, 120_000);

/** Puts bytes where `keys rotate` puts statements: what a control plane does that is not ours. */
function plant(version: number, jws: string): void {
  const state = new Database(join(w.data, "state.db"));
  state.run("pragma busy_timeout = 5000");
  state.run("insert into trust (cluster, version, jws) values ('prod-eu-1', ?, ?)", [version, jws]);
  state.run("update meta set value = value + 1 where name = 'changes'");
  state.close();
}
function forged(by: string, change: { version: number }): string {
  const signer = openSigner({ keys: w.keys, kid: by });
  const newest = trustRows().at(-1);
  if (signer === null || newest === undefined) throw new Error("nothing to forge with");
  return signStatement({ ...statementOf(newest).claims, ...change }, signer);
}
function trustRows(): { version: number; jws: string }[] {
  const state = new Database(join(w.data, "state.db"), { readonly: true });
  const rows = state.query("select version, jws from trust order by version").all() as {
    version: number;
    jws: string;
  }[];
  state.close();
  return rows;
}

test.each([
  ["by a key that was dropped", FIRST, 3, "trust.signature"],
  ["that skips a version", "second", 4, "trust.version"],
])(
  "a statement in the middle %s is refused on record, and nothing after it is taken",
  async (_, by, version, code) => {
    const agent = await begin();
    expect(scale(1).code).toBe(0);
    await stopped(agent);
    signed("--new-key", "second", "--drop-key", FIRST);
    plant(3, forged(by, { version }));
    plant(4, forged("second", { version: 4 }));
    w.startAgent();
    await w.until("the forged one is refused", () => entries("trust-refused").length > 0);
    expect(entries("trust-refused")[0]?.code).toBe(code);
    await w.until("the agent says what it accepted", () => trust().accepted === 2);
    expect(entries("trust").map((entry) => entry.version)).toEqual([1, 2]);
    // It goes on under the statement that it has.
    expect(scale(2, "--kid", "second").code).toBe(0);
    expect(entries("trust").map((entry) => entry.version)).toEqual([1, 2]);
  },
  120_000,
);

test("more statements than one poll carries all arrive, and a command by the newest key waits for its statement", async () => {
  const agent = await begin();
  expect(scale(1).code).toBe(0);
  await stopped(agent);
  let before = FIRST;
  for (let version = 2; version <= 20; version++) {
    signed("--new-key", `key-${version}`, "--drop-key", before);
    before = `key-${version}`;
  }
  const id = queued(2);
  w.startAgent();
  await w.until("the agent accepts statement 20", () => trust().accepted === 20);
  await w.until("the command has its outcome", () => entries("outcome").some((entry) => entry.command === id));
  expect(entries("rejected")).toEqual([]);
  expect(entries("trust").map((entry) => entry.version)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
}, 120_000);

test("in a rotation the old key goes on until the agent knows the new one, and then the new one signs", async () => {
  const agent = await begin();
  expect(scale(1).code).toBe(0);
  await stopped(agent);
  signed("--new-key", "second");
  const waiting = queued(2);
  w.startAgent();
  await w.until("the waiting command has its outcome", () => entries("outcome").some((one) => one.command === waiting));
  await w.until("the agent accepts statement 2", () => trust().accepted === 2);
  expect(scale(1).code).toBe(0);
  expect(entries("intent").map((entry) => entry.by?.key)).toEqual([FIRST, FIRST, "second"]);
}, 120_000);

test("every cluster is rotated and reported by itself, and the same command again has nothing to do", async () => {
  w = await world();
  const token = (cluster: string) => w.vendor("token", "--cluster", cluster, "--keys", w.keys).code;
  expect(["prod-eu-1", "prod-eu-2", "prod-us-1"].map(token)).toEqual([0, 0, 0]);
  expect(w.vendor("keys rotate", "--cluster", "prod-eu-2", "--keys", w.keys, "--new-key", "second").code).toBe(0);
  const all = (...args: string[]) => {
    const done = w.vendor("keys rotate", "--all", "--keys", w.keys, "--json", ...args);
    const clusters = JSON.parse(done.stdout).clusters as { cluster: string; result: string; version: number | null }[];
    return [done.code, ...clusters.map((one) => `${one.cluster} ${one.result} ${one.version}`)];
  };
  const add = ["--add-key", "second"];
  expect(all(...add)).toEqual([0, "prod-eu-1 signed 2", "prod-eu-2 unchanged null", "prod-us-1 signed 2"]);
  expect(all(...add)).toEqual([0, "prod-eu-1 unchanged null", "prod-eu-2 unchanged null", "prod-us-1 unchanged null"]);
  expect(w.vendor("keys rotate", "--cluster", "prod-us-1", "--keys", w.keys, "--drop-key", FIRST).code).toBe(0);
  // One whose key was dropped already is so; one where it would be the last is refused; the others are signed.
  expect(w.vendor("keys rotate", "--cluster", "prod-eu-2", "--keys", w.keys, "--drop-key", "second").code).toBe(0);
  expect(all("--drop-key", FIRST)).toEqual([
    1,
    "prod-eu-1 signed 3",
    "prod-eu-2 refused null",
    "prod-us-1 unchanged null",
  ]);
}, 60_000);

test("what no agent would take, or would lock it out, is refused with its reason, and no statement is stored", async () => {
  w = await world();
  expect(w.vendor("token", "--cluster", "prod-eu-1", "--keys", w.keys).code).toBe(0);
  signed("--new-key", "second");
  signed("--new-key", "third", "--drop-key", FIRST);
  const stranger = join(w.folder, "stranger");
  ran(join(import.meta.dir, "../../dist/reeve-control"), "keys", "init", "--keys", stranger, "--kid", "second");
  const root = JSON.parse(w.vendor("ca show", "--json").stdout).roots[0].sha256 as string;
  const second = join(w.keys, "command-second.json");
  const cases: [number, string, string[]][] = [
    [2, "no change is named", []],
    [1, "it would drop the last command key", ["--drop-key", "second", "third"]],
    [1, "it would name the command key second twice", ["--add-key", `second=${join(stranger, "command-second.json")}`]],
    [1, "is one that it names already, under another name", ["--add-key", `other=${second}`]],
    [1, `an earlier statement named a command key ${FIRST}, which was dropped`, ["--add-key", FIRST]],
    [
      1,
      "was dropped by an earlier statement, under another name",
      ["--add-key", `x=${join(w.keys, `command-${FIRST}.json`)}`],
    ],
    [1, "names no command key nobody", ["--drop-key", "nobody"]],
    [1, "so its agents could not reach it", ["--drop-root", root]],
    [1, "names no witness key nobody", ["--drop-witness", "nobody"]],
    [1, "the key second would be a witness's and a command key", ["--add-witness", second]],
    [1, `the statement before does not name the key ${FIRST}`, ["--kid", FIRST, "--new-key", "fourth"]],
    [
      1,
      "the statement before does not name the key second",
      ["--keys", stranger, "--kid", "second", "--new-key", "fifth"],
    ],
    [3, "holds no Ed25519 public key", ["--add-key", `x=${w.root}`]],
    [1, "no root of DIR/ca begins with", ["--add-root", "0123456789"]],
    [3, "is no CA's certificate", ["--add-root", join(w.data, "ca/server.pem")]],
  ];
  for (const [code, because, args] of cases) {
    const done = rotate(...args);
    expect([because, done.code, done.stderr]).toEqual([because, code, expect.stringContaining(because)]);
    expect(done.stderr).toMatch(/^error: Cannot [^\n]+\.\nhint: [^\n]+\n$/);
  }
  expect(trust().statements.length).toBe(3);
  const many = Array.from({ length: 14 }, (_, index) => {
    const made = spawnSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", join(w.folder, `${index}.key`)]);
    expect(made.status).toBe(0);
    ran("openssl", "pkey", "-in", join(w.folder, `${index}.key`), "-pubout", "-out", join(w.folder, `${index}.pem`));
    return `key-${index}=${join(w.folder, `${index}.pem`)}`;
  });
  signed("--add-key", ...many);
  const full = rotate("--new-key", "sixteen-and-one");
  expect([full.code, full.stderr]).toEqual([1, expect.stringContaining("beyond what a statement can hold")]);
  expect(trust().statements.length).toBe(4);
}, 120_000);

test("keys show tells a reader what each statement added and dropped", async () => {
  w = await world();
  expect(w.vendor("token", "--cluster", "prod-eu-1", "--keys", w.keys).code).toBe(0);
  signed("--new-key", "second");
  signed("--drop-key", FIRST);
  const text = w.vendor("keys show", "--cluster", "prod-eu-1").stdout;
  const pin = /trust_sha256: (\S+) \}/.exec(readFileSync(w.config, "utf8"))?.[1] ?? "";
  expect(text).toContain(`signed by     ${FIRST}  its thumbprint, which configs pin: ${pin}`);
  expect(text).toContain(`command keys  ${FIRST}, +second`);
  expect(text).toContain(`command keys  second, -${FIRST}`);
  expect(text).toContain("no agent has enrolled");
  expect(w.vendor("keys show").stdout).toMatch(/^prod-eu-1 +3 +- +second /m);
}, 60_000);
