import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "reeve-aws-transport-"));
const made = (name: string) => join(folder, name);
function openssl(...args: string[]): void {
  const done = spawnSync("openssl", args);
  if (done.status !== 0) throw new Error(String(done.stderr));
}
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

beforeAll(() => {
  openssl("req", "-x509", ...KEY, "-subj", "/CN=ca", "-days", "1", "-keyout", made("ca.key"), "-out", made("ca.pem"));
  for (const name of ["localhost", "other.example"]) {
    const issuer = ["-CA", made("ca.pem"), "-CAkey", made("ca.key"), "-days", "1"];
    const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    openssl("req", "-x509", ...KEY, ...names, ...issuer, "-keyout", made(`${name}.key`), "-out", made(`${name}.pem`));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In a process of its own: whom it trusts is read once, when it starts. */
function sent(certificate: string, record: readonly number[]): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const ask = JSON.stringify({
      key: made(`${certificate}.key`),
      cert: made(`${certificate}.pem`),
      record,
    });
    const env = { PATH: "/usr/bin:/bin", NODE_EXTRA_CA_CERTS: made("ca.pem") };
    const child = spawn(process.execPath, [join(import.meta.dir, "injected.ts"), ask], { env });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString();
    });
    child.once("close", () => {
      try {
        resolve(JSON.parse(out) as Record<string, unknown>);
      } catch {
        reject(new Error(`${out}${err}`));
      }
    });
  });
}

test.each([
  ["a record that does not decrypt", [0x17, 3, 3, 0, 40, ...Array<number>(40).fill(7)]],
  ["an alert in the clear", [0x15, 3, 3, 0, 2, 2, 40]],
  ["something that is not TLS", [...Buffer.from("HTTP/1.1 400 Bad\r\n\r\n")]],
  ["a record that is too long", [0x17, 3, 3, 0xff, 0xff, 1]],
] as const)(
  "TLS that breaks after the request arrived, by %s, leaves a change unknown",
  async (_, record) => {
    expect(await sent("localhost", record)).toMatchObject({
      arrived: 1,
      bytesLeft: true,
      effect: "unknown",
    });
  },
  30_000,
);

test("the certificate is checked against the host that is connected to: one that is good for another is none", async () => {
  const seen = await sent("other.example", []);
  expect(seen).toMatchObject({ arrived: 0, status: "tls", bytesLeft: false, effect: "none" });
}, 30_000);
