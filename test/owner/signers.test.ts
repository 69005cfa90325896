import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CONTROL, type Ran, ran, type World, world } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";

/** Command keys that lie in no file of ours: in a real ssh-agent, in a SoftHSM token. The signers are the ones in deploy/signers. */
const SIGNERS = resolve(import.meta.dir, "../../deploy/signers");
const MODULE = "/usr/lib/softhsm/libsofthsm2.so";
const PIN = "5678";
let scratch: string;
let agent: ChildProcess;
let w: World;
const at = (name: string): string => join(scratch, name);
const inEnvironment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

function must(program: string, args: string[], env: Record<string, string> = {}, input = ""): string {
  const done = spawnSync(program, args, { env: { ...inEnvironment, ...env }, encoding: "utf8", input });
  expect([program, ...args, done.status, done.status === 0 ? "" : done.stderr]).toEqual([program, ...args, 0, ""]);
  return done.stdout;
}
const ssh = (): Record<string, string> => ({ SSH_AUTH_SOCK: at("agent") });
const hsm = (): Record<string, string> => ({ SOFTHSM2_CONF: at("softhsm2.conf") });

beforeAll(async () => {
  requireDebian({
    "ssh-agent": "openssh-client",
    "softhsm2-util": "softhsm2",
    "pkcs11-tool": "opensc",
    python3: "python3",
    openssl: "openssl",
  });
  scratch = mkdtempSync(join(tmpdir(), "reeve-signers-"));
  agent = spawn("ssh-agent", ["-D", "-a", at("agent")], { env: inEnvironment, stdio: "ignore" });
  while (!existsSync(at("agent"))) await Bun.sleep(20);
  for (const name of ["command", "other"])
    must("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", `${name} key`, "-f", at(name)]);
  must("ssh-add", ["-q", at("command")], ssh());
  // The agent alone holds it from here on.
  rmSync(at("command"));
  mkdirSync(at("tokens"));
  writeFileSync(at("softhsm2.conf"), `directories.tokendir = ${at("tokens")}\nobjectstore.backend = file\n`);
  must("softhsm2-util", ["--init-token", "--free", "--label", "vendor", "--so-pin", "1234", "--pin", PIN], hsm());
  const token = ["--module", MODULE, "--token-label", "vendor"];
  const make = ["--keypairgen", "--key-type", "EC:edwards25519", "--label", "in-hsm"];
  must("pkcs11-tool", [...token, "--login", "--pin", PIN, ...make], hsm());
  must("pkcs11-tool", [...token, "--read-object", "--type", "pubkey", "--label", "in-hsm", "-o", at("hsm.pem")], hsm());
  writeFileSync(at("pin"), `${PIN}\n`, { mode: 0o600 });
}, 300_000);
afterEach(async () => {
  await w?.end();
}, 60_000);
afterAll(() => {
  agent?.kill();
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
});

const bySsh = (key = "command"): string[] => [
  "--signer",
  `SSH_AUTH_SOCK=${at("agent")} ${SIGNERS}/ssh-agent.py --key ${at(key)}.pub`,
  "--signer-key",
  at(`${key}.pub`),
  "--kid",
  "in-agent",
];
const byHsm = (...more: string[]): string[] => [
  "--signer",
  `SOFTHSM2_CONF=${at("softhsm2.conf")} ${SIGNERS}/pkcs11.py --module ${MODULE} --token vendor --label in-hsm --pin-file ${at("pin")}`,
  "--signer-key",
  at("hsm.pem"),
  "--kid",
  "in-hsm",
  ...more,
];
const thumbprint = (file: string): string => must(CONTROL, ["keys", "thumbprint", "--signer-key", file]).trim();
const sent = (by: readonly string[], count: number): Ran =>
  w.vendor(
    ...[
      "send",
      ...by,
      "--cluster",
      "prod-eu-1",
      "--wait",
      "--json",
      "scale",
      "--group",
      "brokers",
      "--count",
      `${count}`,
    ],
  );

test("the thumbprint of an outside key is the one that openssl's reading of it gives, in every form that its makers write", () => {
  const spki = must("openssl", ["pkey", "-pubin", "-in", at("hsm.pem"), "-noout", "-text"]);
  const bytes = Buffer.from((/pub:\s+([0-9a-f:\s]+)/.exec(spki)?.[1] ?? "").replace(/[^0-9a-f]/g, ""), "hex");
  const x = bytes.toString("base64url");
  expect(x.length).toBe(43);
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`;
  const digest = spawnSync("openssl", ["dgst", "-sha256", "-binary"], { env: inEnvironment, input: jwk }).stdout;
  writeFileSync(at("hsm.x"), `${x}\n`);
  writeFileSync(at("hsm.jwk"), jwk);
  for (const file of ["hsm.pem", "hsm.x", "hsm.jwk"]) expect(thumbprint(at(file))).toBe(digest.toString("base64url"));
  const blob = readFileSync(at("command.pub"), "utf8").split(" ")[1] ?? "";
  writeFileSync(at("command.x"), Buffer.from(blob, "base64").subarray(-32).toString("base64url"));
  expect(thumbprint(at("command.pub"))).toBe(thumbprint(at("command.x")));
  const bad = ran(CONTROL, "keys", "thumbprint", "--signer-key", at("softhsm2.conf"));
  expect([bad.code, bad.stdout]).toEqual([3, ""]);
});

test("a fleet lives by a key in an ssh-agent, then by one in a PKCS #11 token, and no private key lies in a file", async () => {
  w = await world({ rotation: "automatic", signer: { flags: bySsh(), thumbprint: thumbprint(at("command.pub")) } });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  expect(sent(bySsh(), 1).code).toBe(0);
  const rotate = (...args: string[]) => w.vendor("keys rotate", "--cluster", "prod-eu-1", ...args);
  expect(rotate(...bySsh(), "--add-key", `in-hsm=${at("hsm.pem")}`).stderr).toBe("");
  const accepted = () =>
    JSON.parse(w.vendor("keys show", "--cluster", "prod-eu-1", "--json").stdout).accepted as number;
  await w.until("the agent accepts statement 2", () => accepted() === 2);
  expect(sent(byHsm(), 2).code).toBe(0);
  expect(rotate(...byHsm(), "--drop-key", "in-agent").stderr).toBe("");
  await w.until("the agent accepts statement 3", () => accepted() === 3);
  const old = sent(bySsh(), 3);
  expect([old.code, old.stderr]).toEqual([1, expect.stringContaining("does not name the key in-agent")]);
  expect(sent(byHsm(), 1).code).toBe(0);
  const by = w.entries().filter((entry) => entry["kind"] === "intent");
  expect(by.map((entry) => (entry["by"] as { key: string }).key)).toEqual(["in-agent", "in-hsm", "in-hsm"]);
  expect(existsSync(w.keys)).toBe(false);
}, 120_000);

test("pkcs11.py signs what pkcs11-tool signs, and bytes of any length besides", () => {
  const args = ["--module", MODULE, "--token", "vendor", "--label", "in-hsm", "--pin-file", at("pin")];
  for (const length of [1, 1024, 60_000]) {
    const bytes = Buffer.alloc(length, "reeve ");
    writeFileSync(at("bytes"), bytes);
    const ours = spawnSync(join(SIGNERS, "pkcs11.py"), args, { env: { ...inEnvironment, ...hsm() }, input: bytes });
    expect([ours.stderr.toString(), ours.stdout.length]).toEqual(["", 64]);
    writeFileSync(at("signature"), ours.stdout);
    must("openssl", [
      "pkeyutl",
      "-verify",
      "-pubin",
      "-inkey",
      at("hsm.pem"),
      "-rawin",
      "-in",
      at("bytes"),
      "-sigfile",
      at("signature"),
    ]);
    if (length > 1024) continue;
    const tool = [
      "--module",
      MODULE,
      "--token-label",
      "vendor",
      "--login",
      "--pin",
      PIN,
      "--sign",
      "--mechanism",
      "EDDSA",
    ];
    must("pkcs11-tool", [...tool, "--label", "in-hsm", "-i", at("bytes"), "-o", at("theirs")], hsm());
    expect(readFileSync(at("theirs")).equals(ours.stdout)).toBe(true);
  }
}, 60_000);

test("a signer that cannot sign, or signs with another key, sends nothing and says why", async () => {
  w = await world({ rotation: "automatic", signer: { flags: bySsh(), thumbprint: thumbprint(at("command.pub")) } });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  const cases: [string, string[]][] = [
    ["the agent does not sign with this key", bySsh("other")],
    [
      "SSH_AUTH_SOCK names no agent",
      ["--signer", `${SIGNERS}/ssh-agent.py --key ${at("command.pub")}`, ...bySsh().slice(2)],
    ],
    // By the token, said to be the agent's.
    ["is no signature by the key of --signer-key", [...byHsm().slice(0, 2), ...bySsh().slice(2)]],
    ["C_Login answers", [...bySsh().slice(2), "--signer", (byHsm()[1] ?? "").replace(at("pin"), at("wrong"))]],
    ["can be read by others", [...bySsh().slice(2), "--signer", (byHsm()[1] ?? "").replace(at("pin"), at("open"))]],
  ];
  writeFileSync(at("wrong"), "0000", { mode: 0o600 });
  writeFileSync(at("open"), PIN);
  chmodSync(at("open"), 0o644);
  // A stranger's key is refused by the statement, so it must be named to get as far as the signer.
  expect(
    w.vendor("keys rotate", "--cluster", "prod-eu-1", ...bySsh(), "--add-key", `other=${at("other.pub")}`).code,
  ).toBe(0);
  for (const [because, by] of cases) {
    const named = because.startsWith("the agent does") ? by.map((one) => (one === "in-agent" ? "other" : one)) : by;
    const done = sent(named, 1);
    expect([because, done.code, done.stderr]).toEqual([because, 1, expect.stringContaining(because)]);
  }
  expect(JSON.parse(w.vendor("fleet commands", "--cluster", "prod-eu-1", "--json").stdout).commands).toEqual([]);
}, 60_000);

test("while a signer waits for somebody's finger, the control plane serves and other commands write", async () => {
  w = await world({ rotation: "automatic", signer: { flags: bySsh(), thumbprint: thumbprint(at("command.pub")) } });
  w.startAgent();
  await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
  // The signer itself has another command write to the state, and would wait for its own end if the state were held meanwhile.
  const writing = join(w.folder, "writing");
  writeFileSync(
    writing,
    `#!/bin/sh\nset -e\n${CONTROL} token --dir ${w.data} --cluster prod-us-1 >>${w.folder}/tokens\nexec "$@"\n`,
    {
      mode: 0o755,
    },
  );
  const [, command = "", ...key] = bySsh();
  const slow = ["--signer", command.replace(SIGNERS, `${writing} ${SIGNERS}`), ...key];
  const began = Date.now();
  expect(sent(slow, 1).code).toBe(0);
  expect(w.vendor("keys rotate", "--cluster", "prod-eu-1", ...slow, "--add-key", `in-hsm=${at("hsm.pem")}`).code).toBe(
    0,
  );
  const first = w.vendor("token", "--cluster", "prod-eu-2", ...slow);
  expect([first.stderr, first.code]).toEqual(["signed trust statement 1 of prod-eu-2\n", 0]);
  // SQLite waits 10 s for a state that is held.
  expect(Date.now() - began).toBeLessThan(9000);
  expect(readFileSync(join(w.folder, "tokens"), "utf8").trim().split("\n").length).toBe(3);
}, 60_000);
