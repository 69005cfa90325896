import "reflect-metadata";
import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCommand } from "../../control/send.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { agentOf, CLUSTER, call, makeCsr, makeKey } from "./client.ts";

const MAIN = join(import.meta.dir, "../../control/main.ts");
const ENV = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
const run = (...args: string[]) => {
  const ran = Bun.spawnSync([process.execPath, MAIN, ...args], { env: ENV });
  return { exit: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
};

async function startServe(
  dir: string,
  prefix: string[] = [],
  ports = ["127.0.0.1:0", "127.0.0.1:0"],
  bun = process.execPath,
) {
  const child = Bun.spawn(
    [...prefix, bun, MAIN, "serve", "--dir", dir, "--enrol", ports[0] ?? "", "--agents", ports[1] ?? ""],
    { env: ENV, stdout: "pipe", stderr: "pipe" },
  );
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(await new Response(child.stderr).text());
  return { child, ready: JSON.parse(Buffer.from(value).toString()) as Record<"enrol" | "agents", string> };
}

test("serve that cannot listen on either address says so and ends", async () => {
  const base = mkdtempSync(join(tmpdir(), "reeve-listen-"));
  const { child, ready } = await startServe(join(base, "first"));
  try {
    for (const at of [
      ["--enrol", ready.enrol, "--agents", "127.0.0.1:0"],
      ["--enrol", "127.0.0.1:0", "--agents", ready.enrol],
    ]) {
      const { exit, err } = run("serve", "--dir", join(base, "second"), ...at);
      expect(exit).toBe(5);
      expect(err).toContain("EADDRINUSE");
    }
  } finally {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(base, { recursive: true });
  }
}, 60_000);

test("everything survives kill -9 of the running server: epoch, certificate, entries, commands", async () => {
  const base = mkdtempSync(join(tmpdir(), "reeve-kill-"));
  const dir = join(base, "d");
  const keys = join(base, "keys");
  expect(run("keys", "init", "--keys", keys).exit).toBe(0);
  let { child, ready } = await startServe(dir);
  try {
    const ca = readFileSync(join(dir, "ca/root.pem"), "utf8");
    const token = run("token", "--dir", dir, "--cluster", CLUSTER, "--keys", keys).out.trim();
    const key = await makeKey();
    const body = { token, proof: null, nonce: null, csr: await makeCsr(key) };
    const first = await call(ready.enrol, "/v1/enroll", body, { ca });
    const crash = async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
      ({ child, ready } = await startServe(dir, [], [ready.enrol, ready.agents]));
    };
    await crash();
    expect(await call(ready.enrol, "/v1/enroll", body, { ca })).toEqual(first);
    const world = { serving: { ready }, rootPem: ca } as never;
    const agent = agentOf(world, key, first.body["chain"] as string[], Number(first.body["epoch"]));
    expect((await agent.report(0)).body).toEqual({ next: 1 });
    const sent = run(
      "send",
      "--dir",
      dir,
      "--keys",
      keys,
      "--cluster",
      CLUSTER,
      "--json",
      "scale",
      "--group",
      "g",
      "--count",
      "3",
    );
    expect(sent.exit).toBe(0);
    const id = String(JSON.parse(sent.out).command);
    await crash();
    const handed = (await agent.poll()).body["commands"] as string[];
    expect(handed.length).toBe(1);
    await crash();
    expect((await agent.report(0)).body).toEqual({ next: 1 });
    const store = await openSqlite(join(dir, "state.db"));
    expect((await store.transaction((sql) => readCommand(sql, id))).state).toBe("handed-out");
    store.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  } finally {
    child.kill("SIGKILL");
    rmSync(base, { recursive: true });
  }
}, 60_000);

test("serve runs as a user that cannot read the command key", async () => {
  const base = mkdtempSync(join(tmpdir(), "reeve-user-"));
  const keys = join(base, "keys");
  const dir = join(base, "d");
  expect(run("keys", "init", "--keys", keys).exit).toBe(0);
  expect(statSync(keys).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(keys)) expect(statSync(join(keys, name)).mode & 0o777).toBe(0o600);
  const drop = process.getuid?.() === 0 ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : [];
  // Root's own copy of bun may lie where nobody else can read it.
  const bun = join(base, "bun");
  copyFileSync(process.execPath, bun);
  chmodSync(bun, 0o755);
  if (drop.length > 0) chownSync(base, 65534, 65534);
  else chmodSync(keys, 0);
  expect(Bun.spawnSync([...drop, "ls", keys], { stderr: "ignore" }).exitCode).not.toBe(0);
  const { child, ready } = await startServe(dir, drop, undefined, bun);
  try {
    const ca = readFileSync(join(dir, "ca/root.pem"), "utf8");
    expect((await call(ready.enrol, "/v1/nonce", undefined, { ca })).status).toBe(200);
  } finally {
    child.kill("SIGKILL");
    chmodSync(keys, 0o700);
    rmSync(base, { recursive: true });
  }
}, 30_000);

test("wrong usage, missing state and keys that others can read end with their code and a hint, never a stack", () => {
  const base = mkdtempSync(join(tmpdir(), "reeve-usage-"));
  const keys = join(base, "keys");
  run("keys", "init", "--keys", keys, "--kid", "k");
  chmodSync(join(keys, "command-k.json"), 0o644);
  const cases: [number, string[]][] = [
    [2, ["nonsense"]],
    [2, ["serve"]],
    [2, ["serve", "--dir", join(base, "d"), "--enrol", "x", "--agents", "127.0.0.1:0"]],
    [4, ["serve", "--dir", join(keys, "command-k.json"), "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"]],
    [3, ["fleet", "--dir", base]],
    [3, ["token", "--dir", base, "--cluster", "c"]],
    [4, ["token", "--dir", base, "--cluster", "c", "--keys", keys]],
    [2, ["token", "--dir", base, "--cluster", "c", "--ttl", "soon"]],
    [1, ["keys", "init", "--keys", keys, "--kid", "k"]],
    [2, ["keys", "init", "--keys", keys, "--kid", "../k"]],
  ];
  for (const [exit, args] of cases) {
    const ran = run(...args);
    expect([args.join(" "), ran.exit]).toEqual([args.join(" "), exit]);
    expect(ran.err).toStartWith("error: Cannot ");
    expect(ran.err).toContain("\nhint: ");
    expect(ran.err).not.toContain("    at ");
  }
  for (const args of [["--help"], ["send", "--help"], ["send", "scale", "--help"], ["keys", "init", "--help"]])
    expect(run(...args).exit).toBe(0);
  rmSync(base, { recursive: true });
}, 60_000);

test("an external signer signs what a key file would, and a signature by another key is not taken", async () => {
  const base = mkdtempSync(join(tmpdir(), "reeve-signer-"));
  const made = JSON.parse(run("keys", "init", "--keys", join(base, "keys"), "--kid", "k", "--json").out);
  const other = JSON.parse(run("keys", "init", "--keys", join(base, "other"), "--kid", "o", "--json").out);
  const script = join(base, "sign.mjs");
  writeFileSync(
    script,
    `import{sign,createPrivateKey}from"node:crypto";import{readFileSync}from"node:fs";const key=createPrivateKey({key:JSON.parse(readFileSync(process.argv[2])),format:"jwk"});process.stdout.write(sign(null,readFileSync(0),key).toString("base64"));`,
  );
  writeFileSync(join(base, "k.x"), made.x);
  const { child } = await startServe(join(base, "d"));
  try {
    const signer = (file: string) => [
      "--signer",
      `${process.execPath} ${script} ${file}`,
      "--signer-key",
      join(base, "k.x"),
      "--kid",
      "k",
    ];
    const wrong = run("keys", "trust", "--dir", join(base, "d"), "--cluster", "c", ...signer(other.file));
    expect([wrong.exit, wrong.out]).toEqual([1, ""]);
    expect(run("keys", "trust", "--dir", join(base, "d"), "--cluster", "c", ...signer(made.file)).exit).toBe(0);
  } finally {
    child.kill("SIGKILL");
    rmSync(base, { recursive: true });
  }
}, 30_000);
