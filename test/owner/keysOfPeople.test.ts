import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { REEVE, send, type World, world, writePolicy } from "../e2e/world.ts";
import { armored, HEAD, KINDS, type Pair, packed, type SshWorld, sshWorld } from "../wire/sshWorld.ts";
import { entriesFor, type Person, place } from "./people.ts";

/**
 * Approvals by every kind of key that a person may have, through `reeve approve`: key files, a key that only an ssh-agent holds, and security
 * keys (by the software middleware of test/tools/sk-dummy, which OpenSSH takes for a real one).
 */
const RULE = (people: readonly string[]): string => `  - id: any
    why: Every change is asked.
    allow: scale
    group: brokers
    count: { min: 0, max: 2 }
    change: { up: 2, down: 2 }
    rate: 1000 per hour
    when: always
    approval: { by: [${people.join(", ")}], need: 1, within: 2h }`;

let ssh: SshWorld;
let w: World;
let agent: ChildProcess;
const people = new Map<string, Pair>();
beforeAll(async () => {
  ssh = sshWorld();
  for (const [type, words] of Object.entries(KINDS)) people.set(nameOf(type), ssh.pair(...words));
  people.set("in-agent", ssh.pair("ed25519"));
  people.set("untouched", ssh.pair("ed25519-sk", "-O", "no-touch-required"));
  const socket = ssh.path("agent.sock");
  agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  w = await world();
  await w.until("the SSH agent listens", () => existsSync(socket));
  ssh.run(["ssh-add", "-q", people.get("in-agent")?.file ?? ""], "", { SSH_AUTH_SOCK: socket });
  ssh.run(["rm", people.get("in-agent")?.file ?? ""]);
  const names = [...people.keys()];
  const texts = Object.fromEntries([...people].map(([name, { text }]) => [name, text]));
  writePolicy(w, RULE(names), 2, { people: texts });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
}, 120_000);
afterAll(async () => {
  agent?.kill();
  await w?.end();
  ssh?.end();
}, 60_000);

function nameOf(type: string): string {
  return type.replace(/@.*/, "").replace(/[^a-z0-9-]/g, "-");
}

type Shown = {
  kind: string;
  command?: string;
  approves?: string;
  code?: string | null;
  person?: string | null;
  approved?: { person: string }[];
};
const of = (id: string): Shown[] =>
  (w.entries() as Shown[]).filter(({ command, approves }) => command === id || approves === id);

/** Asks for another count, and gives the id once it waits. */
function waiting(): string {
  const sent = send(w, "scale", "--group", "brokers", "--count", String(w.pids().length === 1 ? 0 : 1));
  expect(sent.code).toBe(8);
  return (JSON.parse(sent.stdout) as { command: string }).command;
}

/** `reeve approve` as the person runs it: their own environment says where their agent and their security key's library are. */
function approveAs(name: string, id: string, keyFile: string, more: Record<string, string> = {}) {
  const out = join(w.folder, `${id}.sig`);
  const someone = { folder: w.folder } as Person;
  const args = ["approve", id, "--from", entriesFor(w, someone), "--key", keyFile, "--as", name, "--yes", "--out", out];
  const env = { PATH: "/usr/bin:/bin", SSH_SK_PROVIDER: ssh.middleware, ...more };
  const done = spawnSync(REEVE, args, { env, encoding: "utf8" });
  if (done.status === 0) place(w, `${id}.${name}`, readFileSync(out, "utf8"));
  return done;
}

async function runsBy(name: string, id: string): Promise<void> {
  await w.until(`${name}'s approval counts`, () => of(id).some(({ kind }) => kind === "outcome"));
  expect(
    of(id)
      .find(({ kind }) => kind === "intent")
      ?.approved?.map(({ person }) => person),
  ).toEqual([name]);
}

test.each(Object.keys(KINDS).map(nameOf))(
  "a command is approved by a key of the kind %s",
  async (name) => {
    const id = waiting();
    const done = approveAs(name, id, people.get(name)?.file ?? "");
    expect([done.status, done.stdout.includes(`signed by ${people.get(name)?.text}`)]).toEqual([0, true]);
    await runsBy(name, id);
  },
  60_000,
);

test("a stranger's key as long as any, in approvals/, is one small entry: the wait goes on, and ends", async () => {
  const id = waiting();
  // A security key of software whose application is as long as a signature's file may be.
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const point = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const application = `ssh:${"a".repeat(3600)}`;
  const type = "sk-ssh-ed25519@openssh.com";
  const printed = spawnSync(
    REEVE,
    ["approve", id, "--from", entriesFor(w, { folder: w.folder } as Person), "--message"],
    {
      env: { PATH: "/usr/bin:/bin" },
      encoding: "utf8",
    },
  );
  const sha = (hash: string, data: string | Uint8Array) => createHash(hash).update(data).digest();
  const signed = Buffer.concat([
    Buffer.from("SSHSIG"),
    packed("reeve-approval", "", "sha512", sha("sha512", printed.stdout)),
  ]);
  const device = Buffer.from([1, 0, 0, 0, 1]);
  const over = Buffer.concat([sha("sha256", application), device, sha("sha256", signed)]);
  const inner = Buffer.concat([packed(type, sign(null, over, privateKey)), device]);
  place(
    w,
    id,
    armored(Buffer.concat([HEAD, packed(packed(type, point, application), "reeve-approval", "", "sha512", inner)])),
  );
  await w.until("it is on record", () => of(id).some(({ kind }) => kind === "approval"));
  expect(of(id).find(({ kind }) => kind === "approval")?.code).toBe("approval.form");
  expect(JSON.stringify(of(id).find(({ kind }) => kind === "approval")).length).toBeLessThan(600);
  expect(w.reeve(["status"]).stdout).toContain(id);
  expect(w.vendor("cancel", id).code).toBe(0);
  await w.until("the wait ended", () => of(id).some(({ kind }) => kind === "refused"));
}, 60_000);

test("a command is approved by a key that only an ssh-agent holds", async () => {
  const id = waiting();
  const publicKey = `${people.get("in-agent")?.file}.pub`;
  expect(existsSync(publicKey.slice(0, -".pub".length))).toBe(false);
  const alone = approveAs("in-agent", id, publicKey);
  expect([alone.status, alone.stderr.includes("Try it by hand: ssh-keygen -Y sign")]).toEqual([1, true]);
  const done = approveAs("in-agent", id, publicKey, { SSH_AUTH_SOCK: agent.spawnargs.at(-1) ?? "" });
  expect(done.status).toBe(0);
  await runsBy("in-agent", id);
}, 60_000);

test("a security key that nobody touched approves nothing: neither does approve write it, nor the agent take it", async () => {
  const id = waiting();
  const pair = people.get("untouched");
  const done = approveAs("untouched", id, pair?.file ?? "");
  expect([done.status, done.stderr.includes("nobody touched the security key")]).toEqual([1, true]);
  const printed = spawnSync(
    REEVE,
    ["approve", id, "--from", entriesFor(w, { folder: w.folder } as Person), "--message"],
    {
      env: { PATH: "/usr/bin:/bin" },
      encoding: "utf8",
    },
  );
  place(w, `${id}.untouched`, ssh.sign(pair?.file ?? "", printed.stdout));
  await w.until("it is on record", () => of(id).some(({ kind }) => kind === "approval"));
  expect(of(id).find(({ kind }) => kind === "approval")?.code).toBe("approval.signature");
  expect(w.vendor("cancel", id).code).toBe(0);
}, 60_000);
