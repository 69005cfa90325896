/** A compiled control plane that takes proofs, and whoever asks it to enrol. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, createPublicKey, X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bound, type Proof, proofBinding } from "../../agent/wire/proof.ts";
import { type Answer, CLUSTER, call, type Key, makeCsr, makeKey } from "../control/client.ts";
import { CONTROL, type Ran, running } from "../e2e/world.ts";

/** The proof for a binding; null: none is sent. */
export type Prove = (binding: Uint8Array) => Promise<Proof> | Proof;
/** What an attacker's proof binds instead of what is asked. `nonce`: which one is named in the request. */
export type Instead = Partial<Bound> & { readonly named?: string };
export type Vendor = {
  /** SHA-256 of the root, as proofs bind it. */
  readonly pin: Uint8Array;
  readonly folder: string;
  run(...args: string[]): Promise<Ran>;
  admit(...flags: string[]): Promise<void>;
  newToken(cluster?: string): Promise<string>;
  nonce(): Promise<string>;
  /** Asks to enrol by a proof: for a new key unless one is given. */
  enrol(prove: Prove | null, how?: { token?: string; key?: Key; instead?: Instead }): Promise<Answer>;
  end(): Promise<void>;
};

/** `proofs`: the text of the file of `serve --proofs`. */
export async function startVendor(proofs: string): Promise<Vendor> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-proof-"));
  const dir = join(folder, "control");
  mkdirSync(dir, { mode: 0o700 });
  const file = join(folder, "proofs.yaml");
  writeFileSync(file, proofs);
  const keys = join(folder, "keys");
  const done = async (...args: string[]): Promise<Ran> => {
    const ran = await running(CONTROL, ...args);
    if (ran.code !== 0) throw new Error(`${args.join(" ")}: ${ran.stderr}`);
    return ran;
  };
  await done("keys", "init", "--keys", keys);
  const child = spawn(
    CONTROL,
    ["serve", "--dir", dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--proofs", file],
    { env: { PATH: "/usr/bin:/bin" }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const ready = JSON.parse(await firstLine(child)) as { readonly enrol: string; readonly root_sha256: string };
  const ca = readFileSync(join(dir, "ca", "root.pem"), "utf8");
  const pin = new Uint8Array(createHash("sha256").update(new X509Certificate(ca).raw).digest());
  let first = true;
  const self: Vendor = {
    pin,
    folder,
    run: (...args) => running(CONTROL, ...args, "--dir", dir),
    async admit(...flags) {
      await done("admit", CLUSTER, "--dir", dir, ...flags, "--by", "maria@vendor.example", "--why", "INC-1");
    },
    async newToken(cluster = CLUSTER) {
      const signed = first ? ["--keys", keys] : [];
      first = false;
      return (await done("token", "--dir", dir, "--cluster", cluster, ...signed)).stdout.trim();
    },
    async nonce() {
      return String((await call(ready.enrol, "/v1/nonce", undefined, { ca })).body["nonce"]);
    },
    async enrol(prove, { token, key, instead = {} } = {}) {
      const asking = key ?? (await makeKey());
      const nonce = instead.named ?? (await self.nonce());
      const { named: _, ...others } = instead;
      const bound = { nonce: Buffer.from(nonce, "base64url"), pin, cluster: CLUSTER, spki: spkiOf(asking), ...others };
      const proof = prove === null ? null : await prove(proofBinding(bound));
      const body = { token: token ?? null, proof, nonce: proof === null ? null : nonce, csr: await makeCsr(asking) };
      return call(ready.enrol, "/v1/enroll", body, { ca });
    },
    async end() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (child.kill("SIGKILL")) await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return self;
}

export function spkiOf({ key }: Key): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" }));
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let [text, said] = ["", ""];
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes("\n")) resolve(text.split("\n")[0] ?? "");
    });
    child.once("exit", (code) => reject(new Error(`ended with ${code} before its first line: ${said}`)));
  });
}
