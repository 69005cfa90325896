import "reflect-metadata";
import { beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Attribute,
  BasicConstraintsExtension,
  ChallengePasswordAttribute,
  ExtensionsAttribute,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import fc from "fast-check";
import { csrFromPem, readCsr } from "../../agent/wire/csr.ts";
import { isStrictDer } from "../../agent/wire/der.ts";
import { certificatePem, checkChain } from "../../agent/wire/x509.ts";
import { AGENT, type Ca, HOUR, makeCa, makeLeaf } from "./plane.ts";

/** A request by openssl, which shares no code with the reader. */
function request(options: { subject?: string; config?: string; key?: string[]; tail?: string[] }): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "reeve-csr-"));
  try {
    const key = join(folder, "key.pem");
    execFileSync(
      "openssl",
      ["genpkey", ...(options.key ?? ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), "-out", key],
      { stdio: "ignore" },
    );
    const config = join(folder, "config");
    writeFileSync(config, `[req]\ndistinguished_name=dn\nprompt=no\n${options.config ?? ""}\n[dn]\n`);
    const out = join(folder, "csr.pem");
    execFileSync(
      "openssl",
      [
        "req",
        "-new",
        "-key",
        key,
        "-config",
        config,
        "-subj",
        options.subject ?? "/",
        "-out",
        out,
        ...(options.tail ?? []),
      ],
      { stdio: "pipe" },
    );
    const der = csrFromPem(readFileSync(out, "utf8"));
    if (der === null) throw new Error("openssl's PEM was not read");
    return der;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
const ext = (lines: string) => `req_extensions=ext\n[ext]\n${lines}`;

test("every subject alternative name of every type is read", async () => {
  const facts = await readCsr(
    request({
      subject: "/CN=a.example.com",
      config: ext(
        "subjectAltName=DNS:a.example.com,DNS:*.b.example.com,IP:10.0.0.1,IP:::1,URI:spiffe://x/y,email:m@example.com,RID:1.2.3.4,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@example.com,dirName:who\n[who]\nCN=hidden",
      ),
    }),
  );
  expect(facts?.signatureValid).toBe(true);
  expect(facts?.subject).toBe("CN=a.example.com");
  expect(facts?.commonName).toBe("a.example.com");
  expect(facts?.sans.map(({ type }) => type)).toEqual(["dns", "dns", "ip", "ip", "url", "email", "id", "upn", "dn"]);
  expect(facts?.sans.map(({ value }) => value).slice(0, 3)).toEqual(["a.example.com", "*.b.example.com", "10.0.0.1"]);
  expect(facts?.extensions).toEqual([]);
});

test("CA:TRUE and other extensions are told", async () => {
  const facts = await readCsr(
    request({ config: ext("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nextendedKeyUsage=serverAuth") }),
  );
  expect(facts?.wantsCa).toBe(true);
  expect(facts?.extensions).toEqual(["2.5.29.19", "2.5.29.15", "2.5.29.37"]);
  expect((await readCsr(request({ config: ext("basicConstraints=CA:FALSE") })))?.wantsCa).toBe(false);
});

for (const [type, key] of [
  ["P-256", undefined],
  ["P-384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]],
  ["P-521", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]],
  ["RSA-2048", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]],
  ["RSA-1024", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]],
  ["Ed25519", ["-algorithm", "ED25519"]],
] as const) {
  test(`a key of type ${type} is named so, and its signature holds`, async () => {
    const facts = await readCsr(request(key === undefined ? {} : { key: [...key] }));
    expect(facts?.keyType).toBe(type);
    expect(facts?.signatureValid).toBe(true);
  });
}

test("a subject is a common name only when it is exactly one", async () => {
  expect(await readCsr(request({}))).toMatchObject({ subject: "", commonName: null });
  for (const subject of ["/CN=a/CN=b", "/O=Evil/CN=a", "/CN=a+O=Evil", "/CN=a+CN=b"]) {
    const facts = await readCsr(request({ subject, tail: subject.includes("+") ? ["-multivalue-rdn"] : [] }));
    expect(facts?.commonName).toBeNull();
    expect(facts?.subject).not.toBe("");
  }
});

test("an attribute besides the extension request is unreadable", async () => {
  const alg = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = (await crypto.subtle.generateKey(alg, true, ["sign", "verify"])) as CryptoKeyPair;
  const names = (name: string) => [new SubjectAlternativeNameExtension([{ type: "dns", value: name }])];
  const made = async (attributes: Attribute[]) =>
    readCsr(
      new Uint8Array(
        (
          await Pkcs10CertificateRequestGenerator.create({
            keys,
            signingAlgorithm: alg,
            extensions: names("a.example"),
            attributes,
          })
        ).rawData,
      ),
    );
  expect(await made([])).toMatchObject({ sans: [{ type: "dns", value: "a.example" }] });
  expect(await made([new ChallengePasswordAttribute("secret")])).toBeNull();
  expect(await made([new ExtensionsAttribute(names("b.example"))])).toBeNull();
  const twice = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: alg,
    extensions: [...names("a.example"), ...names("b.example")],
  });
  expect(await readCsr(new Uint8Array(twice.rawData))).toBeNull();
});

test("a changed byte makes a request unreadable or its signature wrong; what still holds says the same", async () => {
  const der = request({ subject: "/CN=a.example.com", config: ext("subjectAltName=DNS:a.example.com") });
  const original = await readCsr(der);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: der.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const changed = new Uint8Array(der);
        changed[at] = (changed[at] ?? 0) ^ flip;
        const facts = await readCsr(changed);
        if (facts?.signatureValid === true) expect<unknown>(facts).toEqual(original);
      },
    ),
    { numRuns: 300 },
  );
});

test("bytes after the request, a cut one, indefinite or long lengths and rubbish are unreadable", async () => {
  const der = request({});
  expect(await readCsr(new Uint8Array([...der, 0]))).toBeNull();
  expect(await readCsr(der.subarray(0, -1))).toBeNull();
  expect(await readCsr(new Uint8Array(0))).toBeNull();
  expect(await readCsr(new Uint8Array(40_000))).toBeNull();
  expect(isStrictDer(new Uint8Array([0x30, 0x80, 0, 0]))).toBe(false);
  expect(isStrictDer(new Uint8Array([0x30, 0x81, 0x02, 5, 0]))).toBe(false);
  expect(isStrictDer(new Uint8Array([0x30, 0x02, 5, 0]))).toBe(true);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => (await readCsr(bytes)) === null),
  );
});

test("only one PEM block, and nothing else, is a request's text", () => {
  const lines =
    Buffer.from(request({}))
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  const text = `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
  expect(csrFromPem(text)).not.toBeNull();
  for (const other of [
    text + text,
    `x${text}`,
    `${text}x`,
    ` ${text}`,
    text.replaceAll("\n", "\r\n"),
    text.replace(" REQUEST", ""),
    text.replaceAll("CERTIFICATE REQUEST", "PRIVATE KEY"),
    text.replace(/\n(.)/, "\n\n$1"),
    "",
  ]) {
    expect(csrFromPem(other)).toBeNull();
  }
});

let ca: Ca;
beforeAll(async () => {
  ca = await makeCa("root");
});

test("a chain holds only to a trusted root, within its time, from CAs, without what is not understood", async () => {
  const san = { type: "url", value: AGENT } as const;
  const leaf = await makeLeaf(ca, { san });
  const now = Date.now();
  expect(checkChain([leaf.der, ca.der], [ca.der], now)).toMatchObject({ leaf: { uri: AGENT } });
  const bad = async (chain: readonly Uint8Array[], roots: readonly Uint8Array[], at = now) => {
    const checked = checkChain(chain, roots, at);
    return "bad" in checked ? checked.bad : "none";
  };
  expect(await bad([leaf.der], [ca.der])).toContain("2 to 4");
  expect(await bad([leaf.der, ca.der], [])).toContain("trusted root");
  const twin = await makeCa("root");
  expect(await bad([leaf.der, twin.der], [twin.der])).toContain("signature");
  expect(await bad([leaf.der, ca.der], [ca.der], now + 25 * HOUR)).toBe("expired");
  expect(await bad([leaf.der, ca.der], [ca.der], now - 30 * 60_000)).toBe("not yet valid");
  const mid = await makeCa("mid");
  const below = await makeLeaf(mid, { san });
  const issued = (extensions: BasicConstraintsExtension[]) =>
    makeLeaf(ca, { san, subject: "CN=mid", publicKey: mid.keys.publicKey, extensions });
  expect(await bad([below.der, (await issued([])).der, ca.der], [ca.der])).toBe("an issuer is not a CA");
  const allowed = await issued([new BasicConstraintsExtension(true, 0, true)]);
  expect(await bad([below.der, allowed.der, ca.der], [ca.der])).toBe("none");
  const caLeaf = await makeLeaf(ca, { san, extensions: [new BasicConstraintsExtension(true, undefined, true)] });
  expect(await bad([caLeaf.der, ca.der], [ca.der])).toBe("the leaf is a CA");
  expect(await bad([leaf.der.subarray(1), ca.der], [ca.der])).toContain("not DER");
  expect(certificatePem(ca.der).trim()).toBe(ca.pem.trim());
});
