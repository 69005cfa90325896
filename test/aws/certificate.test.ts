import "reflect-metadata";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { templateOf } from "../../providers/aws/issue.ts";
import { faultOf, validityOf } from "../../providers/issued.ts";
import { type AuthorityState, CallFailed, Halted, type JudgedCertificateArgs } from "../../providers/provider.ts";
import { act, type Command, errand, gateFor, recall, see } from "../providers/world.ts";
import { came, providerFor } from "./account.ts";
import { failureOf } from "./fixture.ts";
import { recorder } from "./recorder.ts";
import { type Issuer, issue, makeIssuer } from "./world/issuing.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World } from "./world/world.ts";

const root = mkdtempSync(join(tmpdir(), "reeve-aws-certificate-"));
let moto: Moto;
let world: World;
beforeAll(async () => {
  moto = await startMoto();
  world = await startWorld(moto, { authorityDays: 20 });
}, 600_000);
afterAll(async () => {
  await world.stop();
  await moto.stop();
  rmSync(root, { recursive: true, force: true });
});
afterEach(() => {
  Object.assign(world.issuing, { issueMilliseconds: 0, tokenMilliseconds: 300_000, mistake: null, fails: false });
  expect(world.problems).toEqual([]);
});

function openssl(folder: string, ...words: string[]): string {
  const done = spawnSync("/usr/bin/openssl", words, { cwd: folder, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`openssl ${words.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

const NAMES = ["b1.example.com", "b2.example.com"];
/** A request of openssl's, in a folder of its own. */
function request(folder: string, subject: string): Uint8Array {
  writeFileSync(`${folder}/cnf`, "[req]\ndistinguished_name=dn\n[dn]\n");
  openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key");
  const names = `subjectAltName=${NAMES.map((name) => `DNS:${name}`).join(",")}`;
  const how = ["-config", "cnf", "-key", "key", "-subj", subject, "-addext", names, "-outform", "DER", "-out", "csr"];
  openssl(folder, "req", "-new", ...how);
  return new Uint8Array(readFileSync(`${folder}/csr`));
}

type Wish = Partial<JudgedCertificateArgs> & { readonly subject?: string; readonly at?: World };
type Asked = Command<JudgedCertificateArgs, AuthorityState> & { readonly folder: string };
async function command({ subject = "/CN=b1.example.com", at = world, ...more }: Wish = {}): Promise<Asked> {
  const folder = mkdtempSync(join(root, "csr-"));
  const csrDer = request(folder, subject);
  const args: JudgedCertificateArgs = {
    authority: at.authority.arn,
    csr: Buffer.from(csrDer).toString("base64"),
    usages: ["server"],
    validity: 3600,
    csrDer,
    names: NAMES,
    deliver: `${folder}/chain.pem`,
    ...more,
  };
  const action = (await providerFor(at))["issue-certificate"];
  return { action, args, resource: args.authority, folder };
}
const look = ({ action, args, resource }: Asked) =>
  action.describe(gateFor(action, args, resource, { phase: "read" }).gate, args, errand());
const leafOf = (chain: readonly string[] | null) => new X509Certificate(Buffer.from(chain?.[0] ?? "", "base64"));
/** Of the last certificate, as AWS answered it. */
const lastArn = () => String(came(world, "IssueCertificate").at(-1)?.result?.["CertificateArn"]);
const delivered = ({ args }: Asked) => existsSync(args.deliver ?? "");

describe("an authority is described", () => {
  test("by its certificate's subject", async () => {
    expect(await look(await command())).toEqual({ state: { subject: world.authority.issuer.certificate.subject } });
  });

  test("one that is not there, and one of another region or partition, are missing", async () => {
    for (const authority of [
      world.authority.arn.replace(/[0-9a-f]{12}$/, "000000000000"),
      world.authority.arn.replace(":eu-west-1:", ":us-east-1:"),
      world.authority.arn.replace("arn:aws:", "arn:aws-cn:"),
    ]) {
      expect(await look(await command({ authority }))).toEqual({
        missing: `there is no certificate authority ${authority} in eu-west-1`,
      });
    }
  });

  test("one that was disabled is unreadable, by AWS's own word for it", async () => {
    const arn = await world.more.authority("EC_prime256v1");
    await world.admin.call("acm-pca", "UpdateCertificateAuthority", {
      CertificateAuthorityArn: arn,
      Status: "DISABLED",
    });
    expect((await failureOf(look(await command({ authority: arn })))).status).toBe("authority-disabled");
  });
});

describe("a certificate", () => {
  test("is issued for the judged request, delivered as a chain that openssl verifies, and is in the outcome", async () => {
    const asked = await command();
    const own = errand();
    const { args, folder } = asked;
    const ended = await act(asked, {}, own);
    expect(ended).toMatchObject({ result: "succeeded", code: null, words: null });
    const [call] = came(world, "IssueCertificate").slice(-1);
    expect(call?.token).toBe(own.id);
    expect(call?.userAgent).toContain(`cmd/${own.id}`);
    expect(ended.changed).toEqual([{ what: "certificate", from: null, to: lastArn() }]);
    const ca = world.authority.issuer.certificate;
    expect(ended.certificate).toEqual([ended.certificate?.[0] ?? "", Buffer.from(ca.rawData).toString("base64")]);
    writeFileSync(`${folder}/ca.pem`, ca.toString("pem"));
    const verify = ["-purpose", "sslserver", "-verify_hostname", "b2.example.com", "-CAfile", "ca.pem", "chain.pem"];
    expect(openssl(folder, "verify", ...verify)).toBe("chain.pem: OK\n");
    expect(openssl(folder, "x509", "-in", "chain.pem", "-noout", "-pubkey")).toBe(
      openssl(folder, "pkey", "-in", "key", "-pubout"),
    );
    expect(readFileSync(args.deliver ?? "", "utf8").match(/BEGIN CERTIFICATE/g)?.length).toBe(2);
    expect(ended.operations.map(({ operation }) => operation.split(/[:.]/).at(-1))).toEqual([
      "DescribeCertificateAuthority",
      "GetCertificateAuthorityCertificate",
      "IssueCertificate",
      "GetCertificate",
      "deliver",
    ]);
    expect(ended.operations[2]).toMatchObject({ request: call?.id ?? "", changes: true, status: "ok" });
  });

  test("holds as many seconds as were asked, both ends counted, from at most a minute ago", async () => {
    for (const [validity, back] of [
      [60, 6],
      [3600, 60],
      [30 * 86_400, 60],
    ] as const) {
      const ended = await act(await command({ validity }));
      const leaf = leafOf(ended.certificate);
      const ca = world.authority.issuer.certificate.notAfter.getTime();
      const seconds = (leaf.notAfter.getTime() - leaf.notBefore.getTime()) / 1000 + 1;
      const age = Date.now() - leaf.notBefore.getTime();
      expect(age).toBeWithin(back * 1000, back * 1000 + 5000);
      // Never beyond the authority's own end, which is 20 days off here.
      if (validity < 20 * 86_400) expect(seconds).toBe(validity);
      else expect(leaf.notAfter.getTime()).toBe(ca);
    }
  });

  test.each([
    [["server"], "EndEntityServerAuthCertificate/V1"],
    [["client"], "EndEntityClientAuthCertificate/V1"],
    [["client", "server"], "EndEntityCertificate/V1"],
  ] as const)("for %p comes from the base end-entity template of just that", async (usages, name) => {
    expect((await act(await command({ usages }))).result).toBe("succeeded");
    expect(came(world, "IssueCertificate").at(-1)?.params["TemplateArn"]).toBe(`arn:aws:acm-pca:::template/${name}`);
    expect(templateOf("aws-us-gov", usages)).toBe(`arn:aws-us-gov:acm-pca:::template/${name}`);
  });

  test("of an authority with an RSA key is signed by that; a request without a subject is enough", async () => {
    const rsa = await startWorld(moto, { key: "RSA_2048" });
    const asked = await command({ at: rsa, subject: "/", deliver: null });
    const ended = await act(asked);
    expect(ended).toMatchObject({ result: "succeeded" });
    expect(came(rsa, "IssueCertificate").at(-1)?.params["SigningAlgorithm"]).toBe("SHA256WITHRSA");
    expect(ended.operations.some(({ operation }) => operation.includes("deliver"))).toBe(false);
    await rsa.stop();
  });

  test("that takes its time is waited for", async () => {
    world.issuing.issueMilliseconds = 400;
    const before = came(world, "GetCertificate").length;
    expect(await act(await command())).toMatchObject({ result: "succeeded" });
    expect(came(world, "GetCertificate").length - before).toBeGreaterThan(1);
  });

  test("that is not issued by the deadline is unknown, and the outcome names it", async () => {
    world.issuing.issueMilliseconds = 60_000;
    const asked = await command();
    const ended = await act(asked, {}, errand(AbortSignal.timeout(700)));
    expect(ended).toMatchObject({ result: "unknown", code: "in-progress", certificate: null });
    expect(ended.changed).toEqual([{ what: "certificate", from: null, to: lastArn() }]);
    expect(delivered(asked)).toBe(false);
  });

  test("that AWS could not issue is failed", async () => {
    world.issuing.fails = true;
    const ended = await act(await command());
    expect(ended).toMatchObject({ result: "failed", code: "issue-failed", changed: [], certificate: null });
    expect(ended.words).toStartWith(lastArn());
  });
});

describe("a certificate that is not what was judged is failed, on record, and not delivered", () => {
  test.each([
    ["other-key", "issued-other-key"],
    ["other-name", "issued-other-names"],
    ["more-names", "issued-other-names"],
    ["longer", "issued-other-validity"],
    ["already-over", "issued-other-validity"],
    ["other-usage", "issued-other-usages"],
    ["an-authority", "issued-authority"],
    ["other-issuer", "issued-other-chain"],
    ["no-chain", "issued-other-chain"],
  ] as const)("%s: %s", async (mistake, code) => {
    world.issuing.mistake = mistake;
    const asked = await command();
    const ended = await act(asked);
    expect(ended).toMatchObject({ result: "failed", code });
    expect(ended.changed.length).toBe(1);
    expect(leafOf(ended.certificate).serialNumber.length).toBeGreaterThan(8);
    expect(delivered(asked)).toBe(false);
  });

  test("names that were judged and are not in it", async () => {
    const ended = await act(await command({ names: [...NAMES, "b3.example.com"] }));
    expect(ended).toMatchObject({ result: "failed", code: "issued-other-names" });
  });

  test.each([
    [false, null],
    [true, "issued-authority"],
  ])("one that is an authority by its basic constraints alone: %p, %p", async (ca, fault) => {
    const { args } = await command();
    const { certificate, keys } = world.authority.issuer;
    const request = new Pkcs10CertificateRequest(new Uint8Array(args.csrDer));
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000);
    const leaf = await X509CertificateGenerator.create({
      ...{ subject: request.subject, issuer: certificate.subject, publicKey: request.publicKey },
      ...{ notBefore, notAfter: new Date(notBefore.getTime() + 3_599_000) },
      ...{ signingKey: keys.privateKey, signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } },
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.1"]),
        new SubjectAlternativeNameExtension(NAMES.map((value) => ({ type: "dns" as const, value }))),
      ],
    });
    const from = notBefore.getTime() / 1000;
    const wanted = { args, chain: [certificate], validity: { from, until: from + 3599 } };
    expect(faultOf(leaf, [certificate], wanted)).toBe(fault as never);
  });

  test("another subject than the request's", async () => {
    const asked = await command();
    const other = await command({ subject: "/CN=b2.example.com" });
    // The key is the same, so that only the subject differs.
    openssl(
      asked.folder,
      ...["req", "-new", "-config", "cnf", "-key", "key", "-subj", "/CN=b2.example.com"],
      ...["-addext", `subjectAltName=${NAMES.map((name) => `DNS:${name}`).join(",")}`],
      ...["-outform", "DER", "-out", "csr2"],
    );
    const judged = new Uint8Array(readFileSync(`${asked.folder}/csr2`));
    const { certificate } = await act(asked);
    const leaf = leafOf(certificate);
    const chain = [world.authority.issuer.certificate];
    const seconds = (date: Date) => date.getTime() / 1000;
    const validity = { from: seconds(leaf.notBefore), until: seconds(leaf.notAfter) };
    const fault = (csrDer: Uint8Array) => faultOf(leaf, chain, { args: { ...asked.args, csrDer }, chain, validity });
    expect([fault(asked.args.csrDer), fault(judged), fault(other.args.csrDer)]).toEqual([
      null,
      "issued-other-subject",
      "issued-other-key",
    ]);
  });
});

describe("what goes wrong on the way", () => {
  test("a lost answer is asked for again with the same token: one certificate", async () => {
    const before = world.look.issued();
    world.fault("IssueCertificate", { kind: "drop", when: "after" }, { times: 2 });
    const ended = await act(await command());
    expect(ended).toMatchObject({ result: "succeeded" });
    expect(world.look.issued() - before).toBe(1);
    expect(ended.operations.filter(({ changes }) => changes).map(({ status }) => status)).toEqual([
      "reset",
      "reset",
      "ok",
      "ok",
    ]);
  });

  test("answers that stay lost are unknown", async () => {
    world.fault("IssueCertificate", { kind: "drop", when: "after" }, { times: 4 });
    const asked = await command();
    expect(await act(asked)).toMatchObject({ result: "unknown", code: "reset", changed: [], certificate: null });
    expect(delivered(asked)).toBe(false);
  });

  test("an answer that cannot be read is unknown, and is not taken for a certificate", async () => {
    world.fault("IssueCertificate", { kind: "garbage" });
    expect(await act(await command())).toMatchObject({ result: "unknown", changed: [] });
  });

  test.each([
    ["IssueCertificate", "MalformedCSRException", "failed", "MalformedCSRException", 0],
    ["IssueCertificate", "LimitExceededException", "failed", "limit", 0],
    ["IssueCertificate", "InvalidStateException", "failed", "InvalidStateException", 0],
    ["IssueCertificate", "AccessDeniedException", "failed", "denied", 0],
    ["GetCertificate", "AccessDeniedException", "unknown", "denied", 1],
    ["DescribeCertificateAuthority", "AccessDeniedException", "failed", "denied", 0],
  ] as const)("%s answers %s: %s, %s", async (operation, code, result, status, made) => {
    const asked = await command();
    const found = await see(asked);
    world.fault(operation, { kind: "error", code, when: "before" });
    const ended = await act(asked, {}, errand(), found);
    expect(ended).toMatchObject({ result, code: status });
    expect(ended.changed.length).toBe(made);
    const [call] = ended.operations.filter((each) => each.status === status);
    expect(call?.request).toBe(came(world, operation).findLast(({ error }) => error === code)?.id ?? "");
  });

  test("another authority than was judged issues nothing", async () => {
    const before = came(world, "IssueCertificate").length;
    expect(await act(await command(), {}, errand(), { subject: "CN=Another" })).toMatchObject({
      result: "failed",
      code: "concurrent",
    });
    expect(came(world, "IssueCertificate").length).toBe(before);
  });

  test("the switch goes off before the call: nothing is issued; after it: on record, and not delivered", async () => {
    const before = world.look.issued();
    const asked = await command();
    const off = () => {
      throw new Halted("suspended");
    };
    expect(await act(asked, { beforeChange: off })).toMatchObject({
      result: "failed",
      code: "suspended",
      certificate: null,
    });
    expect(world.look.issued()).toBe(before);
    const later = () => {
      if (world.look.issued() > before) off();
    };
    const ended = await act(asked, { beforeChange: later });
    expect(ended).toMatchObject({ result: "failed", code: "suspended" });
    expect([ended.certificate?.length, ended.changed.length, delivered(asked)]).toEqual([2, 1, false]);
  });

  test("it cannot be written where it belongs: failed, and in the outcome", async () => {
    const folder = mkdtempSync(join(root, "full-"));
    mkdirSync(`${folder}/chain.pem`);
    const ended = await act(await command({ deliver: `${folder}/chain.pem` }));
    expect(ended).toMatchObject({ result: "failed", code: "EISDIR" });
    expect(ended.certificate?.length).toBe(2);
  });

  test("an authority whose own certificates are over, or not yet good, issues nothing", async () => {
    const { certificate } = await makeIssuer("EC_prime256v1", "CN=short", 1);
    for (const at of [certificate.notAfter.getTime(), certificate.notBefore.getTime() - 1000]) {
      expect(() => validityOf(at, 3600, [certificate])).toThrow(CallFailed);
    }
    expect(validityOf(certificate.notBefore.getTime() + 5000, 3600, [certificate])).toEqual({
      from: Math.floor(certificate.notBefore.getTime() / 1000),
      until: Math.floor(certificate.notBefore.getTime() / 1000) + 3599,
    });
  });
});

describe("an authority below others", () => {
  const ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/11111111-1111-1111-1111-111111111111";

  test("its whole chain is delivered, and as much of it as an outcome holds is on record", async () => {
    const { server, asked, root } = await below();
    const ended = await act(asked);
    server.close();
    expect(ended).toMatchObject({ result: "succeeded" });
    expect(ended.certificate?.length).toBe(4);
    expect(readFileSync(asked.args.deliver ?? "", "utf8").match(/BEGIN CERTIFICATE/g)?.length).toBe(5);
    writeFileSync(`${asked.folder}/root.pem`, root.certificate.toString("pem"));
    const how = ["-CAfile", "root.pem", "-untrusted", "chain.pem", "chain.pem"];
    expect(openssl(asked.folder, "verify", ...how)).toBe("chain.pem: OK\n");
  });

  test.each([
    ["a chain with a link left out", { drop: 1 }, "authority-chain"],
    ["a chain whose names fit and whose signature does not", { forge: true }, "authority-chain"],
    ["a certificate of its own that is no authority's", { plain: true }, "authority-chain"],
    ["another authority's description", { arn: ARN.replace("1111-", "1112-") }, "malformed"],
    ["a state that is not active", { status: "PENDING_CERTIFICATE" }, "authority-pending-certificate"],
    ["a key of a type that is not known", { key: "SM2" }, "authority-key"],
  ] as const)("%s: nothing is asked of it", async (_, how, status) => {
    const { server, asked } = await below(how);
    expect((await failureOf(look(asked))).status).toBe(status);
    expect(server.asked.some(({ headers }) => String(headers["x-amz-target"]).endsWith(".IssueCertificate"))).toBe(
      false,
    );
    server.close();
  });

  test("an answer that names another authority's certificate is unknown, and it is not asked for", async () => {
    const { server, asked } = await below({ issued: `${ARN.replace("1111-", "1112-")}/certificate/0123456789abcdef` });
    expect(await act(asked)).toMatchObject({ result: "unknown", code: "malformed", changed: [], certificate: null });
    expect(server.asked.some(({ headers }) => String(headers["x-amz-target"]).endsWith(".GetCertificate"))).toBe(false);
    server.close();
  });

  type How = {
    issued?: string;
    drop?: number;
    forge?: boolean;
    plain?: boolean;
    arn?: string;
    status?: string;
    key?: string;
  };
  /** Three authorities below a root, the lowest of which issues: more than the world's own roots. */
  async function below(how: How = {}) {
    const root = await makeIssuer("EC_prime256v1", "CN=root");
    const chain = [root];
    for (const name of ["CN=one", "CN=two", "CN=three"]) chain.unshift(await under(chain[0] ?? root, name, true));
    if (how.plain === true) chain[0] = await under(chain[1] ?? root, "CN=three", false);
    if (how.forge === true) chain[1] = await makeIssuer("EC_prime256v1", "CN=two");
    const [issuer = root] = chain;
    const above = chain.slice(1).filter((_, at) => at + 1 !== how.drop);
    const pem = (some: typeof chain) => some.map(({ certificate }) => certificate.toString("pem")).join("\n");
    let leaf = "";
    const answers: Record<string, (input: Record<string, never>) => unknown> = {
      DescribeCertificateAuthority: () => ({
        CertificateAuthority: {
          Arn: how.arn ?? ARN,
          Status: how.status ?? "ACTIVE",
          CertificateAuthorityConfiguration: { KeyAlgorithm: how.key ?? "EC_prime256v1" },
        },
      }),
      GetCertificateAuthorityCertificate: () => ({ Certificate: pem([issuer]), CertificateChain: pem(above) }),
      IssueCertificate: async (input) => {
        const { Csr, TemplateArn, SigningAlgorithm, ValidityNotBefore, Validity } = input;
        const csr = new Pkcs10CertificateRequest(Buffer.from(Csr ?? "", "base64").toString());
        const at = (time: { Value: number }) => new Date(time.Value * 1000);
        const dates = { notBefore: at(ValidityNotBefore ?? NEVER), notAfter: at(Validity ?? NEVER) };
        const wish = { csr, template: TemplateArn ?? "", signing: SigningAlgorithm ?? "", ...dates };
        ({ leaf } = await issue(issuer, wish, null));
        return { CertificateArn: how.issued ?? `${ARN}/certificate/0123456789abcdef` };
      },
      GetCertificate: () => ({ Certificate: leaf, CertificateChain: pem(chain) }),
    };
    const server = await recorder(async ({ headers, body }) => {
      const operation = String(headers["x-amz-target"]).split(".").at(-1) ?? "";
      return { body: JSON.stringify(await answers[operation]?.(JSON.parse(body))) };
    });
    const at = { ...world, authority: { ...world.authority, arn: ARN } };
    const asked = await command({ at: { ...at, endpoints: { ...world.endpoints, "acm-pca": server.url } } });
    return { server, asked, root };
  }
  const NEVER = { Value: 0 };

  async function under(issuer: Issuer, subject: string, ca: boolean): Promise<Issuer> {
    const made = await makeIssuer("EC_prime256v1", subject);
    const certificate = await X509CertificateGenerator.create({
      subject,
      issuer: issuer.certificate.subject,
      notBefore: made.certificate.notBefore,
      notAfter: made.certificate.notAfter,
      publicKey: made.keys.publicKey,
      signingKey: issuer.keys.privateKey,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions: [new BasicConstraintsExtension(ca, undefined, true)],
    });
    return { ...made, certificate };
  }
});

test("an intent without an outcome: no read can tell, none is made, and the words say where to look", async () => {
  const asked = await command();
  const before = world.calls.length;
  const own = errand();
  const reconciled = await recall(asked, { subject: "CN=x" }, own);
  expect(reconciled).toMatchObject({
    result: "unknown",
    code: "issued-or-not",
    known_by: "nothing",
    certificate: null,
  });
  expect(reconciled.words).toContain(`IssueCertificate with cmd/${own.id}`);
  expect(world.calls.length).toBe(before);
});
