import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { readCsr } from "../../agent/wire/csr.ts";
import { localProvider } from "../../providers/local/local.ts";
import { type AuthorityState, Halted, type JudgedCertificateArgs } from "../../providers/provider.ts";
import { act, type Command, errand, gateFor, host, recall, removeAll, scratch, see } from "./world.ts";

const root = scratch();
afterAll(() => removeAll([root]));

function openssl(folder: string, ...words: string[]): string {
  const done = spawnSync("/usr/bin/openssl", words, { cwd: folder, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`openssl ${words.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

const KEYS: Readonly<Record<string, readonly string[]>> = {
  "P-256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  "P-384": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
  Ed25519: ["ED25519"],
  "RSA-2048": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  "RSA-1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
};

/** A CA folder made by openssl. */
function authority(
  keyType = "P-256",
  days = 10,
  extension = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign",
): string {
  const folder = mkdtempSync(join(root, "ca-"));
  openssl(folder, "genpkey", "-algorithm", ...(KEYS[keyType] ?? []), "-out", "ca.key");
  chmodSync(`${folder}/ca.key`, 0o600);
  // A file of its own: Debian's default would add another basicConstraints.
  writeFileSync(
    `${folder}/cnf`,
    `[req]\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\n[v3]\n${extension}\nsubjectKeyIdentifier=hash\n`,
  );
  openssl(
    folder,
    "req",
    "-new",
    "-x509",
    "-config",
    "cnf",
    "-key",
    "ca.key",
    "-days",
    String(days),
    "-subj",
    "/O=Customer/CN=Test CA",
    "-out",
    "ca.crt",
  );
  return folder;
}

type Wish = {
  readonly directory?: string;
  readonly subject?: string;
  readonly names?: readonly string[];
  readonly validity?: number;
  readonly deliver?: string | null;
  readonly usages?: readonly ("server" | "client")[];
};
async function command(wish: Wish = {}): Promise<Command<JudgedCertificateArgs, AuthorityState>> {
  const folder = mkdtempSync(join(root, "csr-"));
  const names = wish.names ?? ["b1.example.com", "b2.example.com"];
  openssl(folder, "genpkey", "-algorithm", ...(KEYS["P-256"] ?? []), "-out", "key");
  writeFileSync(`${folder}/cnf`, "[req]\ndistinguished_name=dn\n[dn]\n");
  openssl(
    folder,
    "req",
    "-new",
    "-config",
    "cnf",
    "-key",
    "key",
    "-subj",
    wish.subject ?? "/CN=b1.example.com",
    "-addext",
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`,
    "-outform",
    "DER",
    "-out",
    "csr",
  );
  const csrDer = new Uint8Array(readFileSync(`${folder}/csr`));
  const facts = await readCsr(csrDer);
  if (facts === null) throw new Error("openssl's request cannot be read");
  const authorities = { internal: { directory: wish.directory ?? authority() } };
  const provider = localProvider({ host }, { groups: {}, authorities, zones: {} }, `${root}/state`);
  const args: JudgedCertificateArgs = {
    authority: "internal",
    csr: Buffer.from(csrDer).toString("base64"),
    usages: wish.usages ?? ["server"],
    validity: wish.validity ?? 3600,
    csrDer,
    names: facts.sans.map(({ value }) => value),
    deliver: wish.deliver === undefined ? `${folder}/out.crt` : wish.deliver,
  };
  return { action: provider["issue-certificate"], args, resource: "internal" };
}

test.each(["P-256", "P-384", "Ed25519", "RSA-2048"])(
  "openssl agrees with what a %s authority issued, and with every field",
  async (keyType) => {
    const directory = authority(keyType);
    const wanted = await command({ directory, usages: ["server", "client"] });
    const done = await act(wanted);
    expect(done).toMatchObject({ result: "succeeded", code: null });
    const file = wanted.args.deliver ?? "";
    expect(
      openssl(
        directory,
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_hostname",
        "b2.example.com",
        "-CAfile",
        "ca.crt",
        file,
      ),
    ).toContain(": OK");
    const text = openssl(directory, "x509", "-in", file, "-noout", "-text");
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/TLS Web Server Authentication, TLS Web Client Authentication\n/);
    expect(text).toMatch(/X509v3 Subject Alternative Name: \n\s+DNS:b1.example.com, DNS:b2.example.com\n/);
    expect(text).toMatch(/Subject: CN ?= ?b1.example.com\n/);
    const leaf = new X509Certificate(Buffer.from(done.certificate?.[0] ?? "", "base64"));
    const seconds = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / 1000 + 1;
    expect(seconds).toBe(3600);
    expect(leaf.fingerprint256).toBe(new X509Certificate(readFileSync(file)).fingerprint256);
    expect(done.certificate?.[1]).toBe(new X509Certificate(readFileSync(`${directory}/ca.crt`)).raw.toString("base64"));
  },
);

test("an empty subject makes the names critical, and openssl takes it", async () => {
  const directory = authority();
  const wanted = await command({ directory, subject: "/" });
  expect(await act(wanted)).toMatchObject({ result: "succeeded" });
  const file = wanted.args.deliver ?? "";
  expect(openssl(directory, "x509", "-in", file, "-noout", "-text")).toContain("Subject Alternative Name: critical");
  expect(openssl(directory, "verify", "-x509_strict", "-CAfile", "ca.crt", file)).toContain(": OK");
});

test("a certificate never outlives its authority, and an expired authority issues nothing", async () => {
  const directory = authority("P-256", 1);
  const done = await act(await command({ directory, validity: 30 * 86_400 }));
  expect(done).toMatchObject({ result: "succeeded" });
  const ca = new X509Certificate(readFileSync(`${directory}/ca.crt`));
  expect(new X509Certificate(Buffer.from(done.certificate?.[0] ?? "", "base64")).validTo).toBe(ca.validTo);
  const late = await command({ directory });
  const provider = localProvider(
    { host: { ...host, clock: { ...host.clock, now: () => host.clock.now() + 2 * 86_400_000 } } },
    { groups: {}, authorities: { internal: { directory } }, zones: {} },
    root,
  );
  expect(await act({ ...late, action: provider["issue-certificate"] })).toMatchObject({
    result: "failed",
    code: "authority-expired",
    certificate: null,
  });
});

test("one command issues once: given again it answers with the same certificate", async () => {
  const directory = authority();
  const wanted = await command({ directory });
  const own = errand();
  const first = await act(wanted, {}, own);
  const second = await act(wanted, {}, own);
  expect(second.certificate).toEqual(first.certificate);
  expect(readdirSync(`${directory}/issued`)).toHaveLength(1);
  expect((await act(wanted)).certificate).not.toEqual(first.certificate);
  expect(readdirSync(`${directory}/issued`)).toHaveLength(2);
});

test("the id of one request cannot bring another request's certificate", async () => {
  const directory = authority();
  const own = errand();
  await act(await command({ directory }), {}, own);
  expect(await act(await command({ directory }), {}, own)).toMatchObject({
    result: "failed",
    code: "issued-other",
    certificate: null,
  });
});

test("after a crash the folder says what was issued and what was delivered", async () => {
  const wanted = await command();
  const own = errand();
  const found = await see(wanted);
  expect(await recall(wanted, found, own)).toMatchObject({ result: "failed", code: "not-issued", certificate: null });
  const done = await act(wanted, {}, own);
  expect(await recall(wanted, found, own)).toMatchObject({
    result: "succeeded",
    known_by: "state",
    certificate: done.certificate,
  });
  unlinkSync(wanted.args.deliver ?? "");
  expect(await recall(wanted, found, own)).toMatchObject({
    result: "failed",
    code: "not-delivered",
    certificate: done.certificate,
  });
});

test("suspended before signing, nothing is issued; suspended before delivery, the outcome holds the certificate", async () => {
  const directory = authority();
  const wanted = await command({ directory });
  const suspendAt = (nth: number) => {
    let count = 0;
    return () => {
      if (++count === nth) throw new Halted("suspended");
    };
  };
  expect(await act(wanted, { beforeChange: suspendAt(1) })).toMatchObject({
    result: "failed",
    code: "suspended",
    changed: [],
    certificate: null,
  });
  expect(existsSync(`${directory}/issued`)).toBe(false);
  const half = await act(wanted, { beforeChange: suspendAt(2) });
  expect(half).toMatchObject({ result: "failed", code: "suspended", changed: [{ what: "certificate" }] });
  expect(half.certificate).toHaveLength(2);
  expect(existsSync(wanted.args.deliver ?? "")).toBe(false);
});

test.each([
  ["a key that others may read", "key-permission", (folder: string) => chmodSync(`${folder}/ca.key`, 0o640)],
  [
    "a key behind a link",
    "ELOOP",
    (folder: string) => {
      host.disk.rename(`${folder}/ca.key`, `${folder}/real.key`);
      symlinkSync(`${folder}/real.key`, `${folder}/ca.key`);
    },
  ],
  [
    "another key",
    "key-other",
    (folder: string) => writeFileSync(`${folder}/ca.key`, readFileSync(`${authority()}/ca.key`)),
  ],
  ["no key", "ENOENT", (folder: string) => unlinkSync(`${folder}/ca.key`)],
  ["a key that is none", "key-unreadable", (folder: string) => writeFileSync(`${folder}/ca.key`, "x")],
  ["a certificate that is none", "authority-unreadable", (folder: string) => writeFileSync(`${folder}/ca.crt`, "x")],
])("%s is refused before anything is signed", async (_, code, spoil) => {
  const directory = authority();
  spoil(directory);
  const { action, args } = await command({ directory });
  const seen = await action.describe(gateFor(action, args, "internal", { phase: "read" }).gate, args, errand());
  expect(seen).toEqual({ unreadable: code });
});

test("a weak key and a certificate that may not sign others are no authority", async () => {
  const unreadable = async (directory: string) => {
    const { action, args } = await command({ directory });
    return action.describe(gateFor(action, args, "internal", { phase: "read" }).gate, args, errand());
  };
  expect(await unreadable(authority("RSA-1024"))).toEqual({ unreadable: "key-type" });
  expect(await unreadable(authority("P-256", 10, "basicConstraints=critical,CA:FALSE"))).toEqual({
    unreadable: "not-an-authority",
  });
  const digest = authority("P-256", 10, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature");
  expect(await unreadable(digest)).toEqual({ unreadable: "not-an-authority" });
});

test("a request that does not hold what was judged is not signed", async () => {
  const directory = authority();
  const wanted = await command({ directory });
  const broken = Uint8Array.from(wanted.args.csrDer);
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  expect(await act({ ...wanted, args: { ...wanted.args, csrDer: broken } })).toMatchObject({
    result: "failed",
    code: "csr-signature",
  });
  expect(await act({ ...wanted, args: { ...wanted.args, names: [] } })).toMatchObject({
    result: "failed",
    code: "csr-names",
  });
  const other = await command({ directory, subject: "/O=Bank/CN=b1.example.com" });
  expect(await act(other)).toMatchObject({ result: "failed", code: "csr-subject" });
  mkdirSync(`${directory}/issued`, { recursive: true });
  expect(readdirSync(`${directory}/issued`)).toEqual([]);
});
