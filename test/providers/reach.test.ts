import "reflect-metadata";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BasicConstraintsExtension } from "@peculiar/x509";
import { LocalConfig } from "../../agent/providerConfig/local.ts";
import { localProvider } from "../../providers/local/local.ts";
import type { ReachedPart } from "../../providers/provider.ts";
import { HOUR, makeCa, makeLeaf } from "../identity/plane.ts";
import { type NameServer, startBind, TSIG_NAME, ZONE } from "./bind.ts";
import { host, removeAll, scratch } from "./world.ts";

const folder = scratch();
let bind: NameServer;
beforeAll(async () => {
  bind = await startBind(`${folder}/bind`);
  // It takes connections before it has read its zone.
  while (bind.dig(ZONE, "SOA").length === 0) await Bun.sleep(50);
}, 330_000);
afterAll(async () => {
  await bind.stop();
  removeAll([folder]);
});

async function probe(config: object, signal = new AbortController().signal): Promise<readonly ReachedPart[]> {
  return localProvider({ host }, LocalConfig.parse(config), join(folder, "state")).probe([], signal);
}
async function only(config: object): Promise<ReachedPart> {
  const [part, ...more] = await probe(config);
  if (part === undefined || more.length > 0) throw new Error("not one part");
  return part;
}
const server = (change: object = {}, tsig: object = {}) => ({
  server: bind.server,
  tsig: { name: TSIG_NAME, algorithm: "hmac-sha256", secret_file: bind.secretFile, ...tsig },
  ...change,
});

describe("whether a zone's server can be used", () => {
  test("BIND answers for its zone, signed", async () => {
    expect(await only({ zones: { [ZONE]: server() } })).toEqual({
      what: `zone ${ZONE}`,
      ok: true,
      because: `${bind.server} answers for it, signed with the key ${TSIG_NAME}`,
      hint: "",
    });
  });
  test("another secret, a key that it does not know and a zone that it does not serve are told apart, with what to compare", async () => {
    const secret = join(folder, "other-secret");
    writeFileSync(secret, Buffer.alloc(32, 1).toString("base64"), { mode: 0o600 });
    const wrong = await only({ zones: { [ZONE]: server({}, { secret_file: secret }) } });
    expect([wrong.ok, wrong.hint.includes("TSIG key's name, algorithm and secret")]).toEqual([false, true]);
    const unknown = await only({ zones: { [ZONE]: server({}, { name: "nobody" }) } });
    expect(unknown.ok).toBe(false);
    const other = await only({ zones: { "example.org": server() } });
    expect([other.ok, other.because.includes("REFUSED")]).toEqual([false, true]);
  });
  test("an aborted probe ends", async () => {
    const abort = new AbortController();
    abort.abort();
    const [part] = await probe({ zones: { [ZONE]: server() } }, abort.signal);
    expect([part?.ok, part?.because.startsWith("deadline")]).toEqual([false, true]);
  });
});

describe("whether a group can be started", () => {
  const group = (command: string[], more: object = {}) => ({ groups: { g: { command, ...more } } });
  test("a program by its path or by the group's own PATH, through links", async () => {
    expect((await only(group(["/bin/sh"]))).ok).toBe(true);
    expect(await only(group(["sleep", "9"]))).toMatchObject({
      ok: true,
      because: expect.stringContaining("/sleep can be started; 0 of"),
    });
    expect((await only(group(["no-such-program"]))).because).toContain("there is no program no-such-program in /");
    expect((await only(group([folder]))).because).toContain("is not a file");
  });
  test("a probe that cannot be asked, and what was written down of its processes but cannot be read", async () => {
    const health = { probe: "http", url: "https://127.0.0.1/", plus_n: false };
    expect((await only(group(["/bin/sh"], { health }))).hint).toContain("`health`");
    await probe(group(["/bin/sh"]));
    mkdirSync(join(folder, "state"), { recursive: true });
    const name = new Bun.CryptoHasher("sha256").update("g").digest("hex").slice(0, 32);
    writeFileSync(join(folder, "state", `group-${name}.json`), "{");
    expect((await only(group(["/bin/sh"]))).because).toContain("cannot be read");
    rmSync(join(folder, "state"), { recursive: true });
  });
});

test("an authority is opened with its key and nothing is signed; an expired one, or one with another's key, is told", async () => {
  const directory = join(folder, "authority");
  mkdirSync(directory);
  const make = (...more: string[]): void => {
    const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a"];
    const done = spawnSync("openssl", [...args, "-keyout", `${directory}/ca.key`, ...more]);
    if (done.status !== 0) throw new Error(String(done.stderr));
    chmodSync(`${directory}/ca.key`, 0o600);
  };
  make("-out", `${directory}/ca.crt`, "-days", "9");
  const before = statSync(directory).mtimeMs;
  expect((await only({ authorities: { a: { directory } } })).because).toStartWith("CN=a, valid until ");
  expect(statSync(directory).mtimeMs).toBe(before);
  make("-out", `${directory}/other.crt`, "-days", "9");
  expect((await only({ authorities: { a: { directory } } })).because).toContain("ca.key is not the key of ca.crt");
  const past = { from: Date.now() - 2 * HOUR, until: Date.now() - HOUR };
  const extensions = [new BasicConstraintsExtension(true, undefined, true)];
  const old = await makeLeaf(await makeCa("a"), {
    san: { type: "dns", value: "a" },
    subject: "CN=old",
    extensions,
    ...past,
  });
  writeFileSync(`${directory}/ca.crt`, old.pem);
  writeFileSync(`${directory}/ca.key`, old.key, { mode: 0o600 });
  expect((await only({ authorities: { a: { directory } } })).because).toBe("the certificate of CN=old has expired");
});
