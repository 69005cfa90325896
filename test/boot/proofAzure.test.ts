/** Azure's word for a machine, through the compiled executables: an agent that joins by it, and what is refused and changes nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { azureNonce } from "../../agent/wire/proof.ts";
import { type World as Cloud, GROUP, LOCATION, SUBSCRIPTION, startWorld, TENANT } from "../azure/world/world.ts";
import { makeKey } from "../control/client.ts";
import { cloudRules } from "../e2e/cloud.ts";
import { nonceOf } from "./attacker.ts";
import { attested, type Holder, holder, signedData } from "./attester.ts";
import { type Customer, customer, killed, type Prove, replaced } from "./customer.ts";
import { type Issuer, type Jwk, jwkOf, keyedToken, newSigner, startIssuer, token } from "./issuer.ts";

const VM = "13f56399-bd52-4150-9748-7190aae1ff21";
const EXCHANGE = "fb60f99c-7a34-4190-8149-302f77469936";
const NAMES = ["westeurope.metadata.azure.com", "metadata.azure.com"];
const HOUR = 3600_000;
const folder = mkdtempSync(join(tmpdir(), "reeve-entra-"));
/** Published for every tenant; published for one other tenant alone. */
const elsewhere = "8f0f4c27-6d5a-4b8e-9a44-0b7f9d9c2f10";
const scoped = newSigner();
let entra: Issuer;
let cloud: Cloud;
let one: Customer;
let root: Holder;
let ca: Holder;
let signer: Holder;

beforeAll(async () => {
  root = await holder({ name: "Test Root", ca: true });
  ca = await holder({ name: "Test Issuing CA", by: root, ca: true });
  signer = await holder({ name: "metadata.azure.com", by: ca, names: NAMES });
  entra = await startIssuer("login.microsoftonline.com", folder);
  const issuer = (tenant: string): string => `https://login.microsoftonline.com/${tenant}/v2.0`;
  entra.keys = [jwkOf(entra.signer, { issuer: issuer("{tenantid}") }), jwkOf(scoped, { issuer: issuer(elsewhere) })];
  cloud = await startWorld();
  cloud.machine.state.attest = (content) => signedData(content, [signer]);
  cloud.machine.state.sign = (said) => token(said, entra.signer);
  const names = { group: "brokers", authority: cloud.vault.authority, zone: cloud.zone.name, below: cloud.zone.name };
  const place = `{ cloud: azure, subscription: ${SUBSCRIPTION}, resource_group: ${GROUP} }`;
  const chain = join(folder, "ca.pem");
  writeFileSync(chain, cloud.vault.certificate);
  one = await customer({ rules: cloudRules(names), place, provider: providerLines(chain) }, (folder) => {
    const cas = join(folder, "cas.pem");
    writeFileSync(cas, `${root.pem}\n${ca.pem}\n`);
    return `azure:
  metadata.azure.com:
    cas: ${cas}
    login: https://login.microsoftonline.com
    audiences: [${EXCHANGE}]
    keys: { host: login.microsoftonline.com, path: /common/discovery/v2.0/keys, at: "${entra.at}", ca: ${entra.ca} }
`;
  });
  await one.admit("--azure", `${SUBSCRIPTION}/${cloud.user.principal}`, "--budget", "5");
}, 600_000);
afterAll(async () => {
  await one?.end();
  await cloud?.stop();
  await entra?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** The agent's identity is user-assigned, as deploy/azure makes it. */
function providerLines(chain: string): string {
  const { user, vault, url } = cloud;
  return `provider: azure
azure:
  environment: public
  tenant: ${TENANT}
  subscription: ${SUBSCRIPTION}
  resource_group: ${GROUP}
  location: ${LOCATION}
  principal: ${user.principal}
  identity: { client: ${user.client} }
  authorities: { ${vault.authority}: { version: "${vault.version}", chain: ${chain} } }
  endpoints: { arm: "${url}", vault: "${url}", metadata: "${url}" }
`;
}

const now = (): number => Math.floor(Date.now() / 1000);
/** A managed identity's token for the exchange of tokens (v2.0). */
function claims(more: Jwk = {}): Jwk {
  const resource = `/subscriptions/${SUBSCRIPTION}/resourcegroups/prod-eu-1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reeve`;
  return {
    ...{ aud: EXCHANGE, iss: `https://login.microsoftonline.com/${TENANT}/v2.0`, iat: now() - 300, nbf: now() - 300 },
    ...{ exp: now() + 86_000, azp: "1c6f0e4f-4f0e-4f59-9a0e-2f6f6c1a7d55", azpacr: "2", idtyp: "app" },
    ...{ oid: cloud.user.principal, sub: cloud.user.principal, tid: TENANT, ver: "2.0", xms_mirid: resource },
    ...more,
  };
}
const said = (more: Jwk = {}): string => token(claims(more), entra.signer);

type Otherwise = {
  readonly content?: (nonce: string) => string;
  readonly signers?: () => Promise<readonly Holder[]> | readonly Holder[];
  readonly how?: readonly string[];
  readonly change?: (der: Buffer) => Buffer;
  readonly token?: () => string;
};
const content = (nonce: string): string => attested(nonce, SUBSCRIPTION, VM);
function proving({
  content: text = content,
  signers = () => [signer],
  how,
  change = (der) => der,
  token: word = said,
}: Otherwise = {}): Prove {
  return async (binding) => {
    const der = change(await signedData(text(azureNonce(binding)), await signers(), how));
    return { platform: "azure", document: der.toString("base64"), token: word() };
  };
}

test("an agent joins by the token and what Azure says of its machine; either alone enrols nobody", async () => {
  expect((await one.enrol(proving())).body).toMatchObject({ code: "token-needed" });
  expect((await one.enrol(null, { token: await one.newToken() })).body).toMatchObject({ code: "proof-needed" });
  one.vendor.startAgent();
  await one.until("the first is ready", async () => (await one.status(one.vendor)).epoch === 1);
  const asked = cloud.machine.state.asked.map((path) => new URL(path, "http://any"));
  const documents = asked.filter(({ pathname }) => pathname === "/metadata/attested/document");
  expect(documents.length).toBeGreaterThan(0);
  for (const { searchParams } of documents) expect(searchParams.get("nonce")).toMatch(/^\d{10}$/);
  // What is sent to the vendor is a token for nothing: never one for Azure itself.
  const [exchange, ...others] = asked.filter(({ pathname }) => pathname.endsWith("/oauth2/token"));
  expect(exchange?.searchParams.get("resource")).toBe("api://AzureADTokenExchange");
  expect(exchange?.searchParams.get("client_id")).toBe(cloud.user.client);
  expect(others.filter(({ searchParams }) => searchParams.get("client_id") !== cloud.user.client)).toEqual([]);
  expect(new Set(entra.asked)).toEqual(new Set(["/common/discovery/v2.0/keys"]));
  expect(await one.used()).toBe(0);
}, 120_000);

test("a machine that replaces it joins by its proof alone, and the older one is fenced", async () => {
  await replaced(one);
  expect(await one.used()).toBe(1);
}, 240_000);

test("an agent whose identity is another than the config's, or of another tenant, sends nobody's token", async () => {
  const lost = one.vendor.newMachine("lost", "");
  rmSync(lost.token);
  for (const [claims, code] of [
    [{ oid: elsewhere, sub: elsewhere }, "identity-principal"],
    [{ tid: elsewhere }, "identity-tenant"],
  ] as const) {
    cloud.machine.state.claims = claims;
    const agent = lost.startAgent();
    await one.until(`it says ${code}`, async () => (await one.status(lost)).reason.includes(code));
    await killed(agent);
  }
  cloud.machine.state.claims = {};
  lost.startAgent();
  await one.until("it has joined", async () => (await one.status(lost)).epoch === 3);
  expect(await one.used()).toBe(2);
}, 300_000);

test("a system-assigned identity is its machine's or scale set's; some tokens do not say whose they are", async () => {
  const compute = `/subscriptions/${SUBSCRIPTION}/resourcegroups/${GROUP}/providers/Microsoft.Compute`;
  for (const xms_mirid of [`${compute}/virtualMachineScaleSets/reeve`, `${compute}/virtualMachines/reeve`, undefined])
    expect(await one.enrol(proving({ token: () => said({ xms_mirid }) }))).toMatchObject({ status: 200 });
  expect(await one.used()).toBe(5);
});

const leaf =
  (more: {
    by?: () => Holder;
    names?: readonly string[];
    name?: string;
    from?: number;
    until?: number;
    bits?: number;
  }) =>
  async () => {
    const { by = () => ca, name = "metadata.azure.com", names = NAMES, ...rest } = more;
    return [await holder({ name, names, by: by(), ...rest })];
  };
const strangers = async (): Promise<readonly Holder[]> => {
  const other = await holder({ name: "Test Root", ca: true });
  return leaf({ by: () => other })();
};
const flipped =
  (text: string) =>
  (der: Buffer): Buffer => {
    const at = der.indexOf(text);
    if (at < 0) throw new Error(`it does not hold ${text}`);
    const changed = Buffer.from(der);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    return changed;
  };
const dated = (created: number, expires?: number) => (nonce: string) =>
  attested(nonce, SUBSCRIPTION, VM, Date.now() + created, ...(expires === undefined ? [] : [Date.now() + expires]));
const without = (field: string) => (nonce: string) => {
  const { [field]: _, ...rest } = JSON.parse(content(nonce)) as Jwk;
  return JSON.stringify(rest);
};
const WAY = ["-nodetach", "-noattr", "-md", "sha256"];
const OTHER_WAY = "in another way than Azure signs";

test.each<[string, Otherwise, string]>([
  ["by a CA that is not known here, of the same name", { signers: strangers }, "of no CA that is known"],
  ["by a certificate that a signer made", { signers: leaf({ by: () => signer }) }, "of no CA that is known"],
  [
    "by its signer alone",
    { signers: async () => [await holder({ name: "metadata.azure.com", names: NAMES })] },
    "of no CA that is known",
  ],
  [
    "by a name that goes on",
    { signers: leaf({ names: ["metadata.azure.com.evil.example"] }) },
    "another than Azure's metadata service",
  ],
  [
    "by a name that ends alike",
    { signers: leaf({ names: ["evilmetadata.azure.com"] }) },
    "another than Azure's metadata service",
  ],
  [
    "by a name two levels below",
    { signers: leaf({ names: ["a.b.metadata.azure.com"] }) },
    "another than Azure's metadata service",
  ],
  [
    "by a name that is none",
    { signers: leaf({ names: ["*.metadata.azure.com"] }) },
    "another than Azure's metadata service",
  ],
  [
    "by another name beside",
    { signers: leaf({ names: [...NAMES, "www.evil.example"] }) },
    "another than Azure's metadata service",
  ],
  ["by another subject", { signers: leaf({ name: "evil.example" }) }, "another than Azure's metadata service"],
  ["by a subject alone", { signers: leaf({ names: [] }) }, "another than Azure's metadata service"],
  ["by a certificate that has expired", { signers: leaf({ from: -48 * HOUR, until: -HOUR }) }, "expired"],
  ["by a certificate that is not yet valid", { signers: leaf({ from: HOUR, until: 48 * HOUR }) }, "not yet valid"],
  ["by a weak key", { signers: leaf({ bits: 1024 }) }, "signature is wrong"],
  ["by two signers", { signers: async () => [signer, ...(await leaf({})())] }, "not one signer"],
  ["without its content", { how: ["-noattr", "-md", "sha256"] }, "content is not inside"],
  ["with signed attributes", { how: ["-nodetach", "-md", "sha256"] }, OTHER_WAY],
  ["by SHA-1", { how: ["-nodetach", "-noattr", "-md", "sha1"] }, OTHER_WAY],
  ["with padding that is another", { how: [...WAY, "-keyopt", "rsa_padding_mode:pss"] }, OTHER_WAY],
  ["by a key that is named otherwise", { how: [...WAY, "-keyid"] }, OTHER_WAY],
  ["without its signer's certificate", { how: [...WAY, "-nocerts"] }, "does not hold its signer's certificate"],
  ["in BER", { how: [...WAY, "-stream"] }, "not PKCS #7 signed data in DER"],
  [
    "with bytes after it",
    { change: (der) => Buffer.concat([der, Buffer.from([0])]) },
    "not PKCS #7 signed data in DER",
  ],
  ["whose machine was changed", { change: flipped(VM) }, "signature is wrong"],
  ["whose subscription was changed", { change: flipped(SUBSCRIPTION) }, "signature is wrong"],
  ["without a machine", { content: without("vmId") }, "which machine"],
  ["without a subscription", { content: without("subscriptionId") }, "which machine"],
  ["without a time", { content: without("timeStamp") }, "which machine"],
  ["that is no JSON", { content: () => "<html>" }, "which machine"],
  ["with another nonce", { content: () => content("1234567890") }, "for another enrolment"],
  ["without a nonce", { content: without("nonce") }, "which machine"],
  ["that has expired", { content: dated(-HOUR, -1000) }, "expired"],
  ["that was made too long ago", { content: dated(-301_000) }, "too long ago"],
  ["that is made later", { content: dated(HOUR) }, "not yet valid"],
])("a document %s is refused", async (_, otherwise, says) => {
  const answer = await one.enrol(proving(otherwise));
  expect(answer).toMatchObject({ status: 403, body: { code: "proof-invalid" } });
  expect(String(answer.body["message"])).toContain(says);
});

const other = newSigner();
const ARM = "https://management.azure.com/";
const ofResource = (subscription: string, what: string) => () =>
  said({ xms_mirid: `/subscriptions/${subscription}/resourcegroups/x/providers/${what}` });

test.each<[string, () => string, string]>([
  ["for Azure itself, which the vendor must never have", () => said({ aud: ARM }), "another audience"],
  ["for several audiences", () => said({ aud: [EXCHANGE] }), "not one of a managed identity"],
  [
    "of another issuer",
    () => said({ iss: `https://login.evil.example/${TENANT}/v2.0` }),
    "not issued by Entra for the tenant",
  ],
  ["of another tenant than its issuer", () => said({ tid: elsewhere }), "not issued by Entra for the tenant"],
  ["about another than its identity", () => said({ sub: elsewhere }), "about another"],
  ["of a person", () => said({ idtyp: "user" }), "not one of a managed identity"],
  ["without an identity", () => said({ oid: undefined }), "not one of a managed identity"],
  [
    "of an identity in another subscription",
    ofResource(elsewhere, "Microsoft.ManagedIdentity/userAssignedIdentities/reeve"),
    "another subscription",
  ],
  ["of an identity that no machine has", ofResource(SUBSCRIPTION, "Microsoft.Web/sites/reeve"), "no machine has"],
  ["that has expired", () => said({ exp: now() - 1 }), "expired"],
  ["that is not yet valid", () => said({ nbf: now() + 600 }), "not yet valid"],
  ["signed by no algorithm", () => token(claims(), entra.signer, { alg: "none" }), "not one that is signed by RS256"],
  ["keyed by the published key", () => keyedToken(claims(), entra.signer), "not one that is signed by RS256"],
  ["by a key that is published for another tenant", () => token(claims(), scoped), "key for other tenants"],
  ["by a key that is not published", () => token(claims(), other, { jwk: jwkOf(other) }), "does not publish"],
  [
    "by another's key under the name of the published one",
    () => token(claims(), { ...other, kid: entra.signer.kid }),
    "signature is wrong",
  ],
])("a token %s is refused", async (_, word, says) => {
  const answer = await one.enrol(proving({ token: word }));
  expect(answer).toMatchObject({ status: 403, body: { code: "proof-invalid" } });
  expect(String(answer.body["message"])).toContain(says);
});

test("another subscription and another identity are shown, and not admitted", async () => {
  const shown = [
    proving({ token: () => said({ oid: elsewhere, sub: elsewhere }) }),
    proving({ content: (nonce) => attested(nonce, elsewhere, VM), token: () => said({ xms_mirid: undefined }) }),
  ];
  for (const proof of shown) {
    const answer = await one.enrol(proof);
    expect(answer).toMatchObject({ status: 403, body: { code: "proof-not-admitted" } });
    expect(String(answer.body["message"])).toContain(elsewhere);
  }
});

test("a document for another key, control plane, cluster or nonce is for another enrolment, and no nonce is taken twice", async () => {
  for (const how of [
    { bind: { key: await makeKey() } },
    { bind: { pin: randomBytes(32) } },
    { bind: { cluster: "prod-us-1" } },
    { other: await nonceOf(one.caller) },
  ]) {
    const answer = await one.enrol(proving(), how);
    expect([how, answer.body["code"]]).toEqual([how, "proof-invalid"]);
    expect(String(answer.body["message"])).toContain("for another enrolment");
  }
  const named = await nonceOf(one.caller);
  expect((await one.enrol(proving({ token: () => said({ aud: ARM }) }), { named })).body["code"]).toBe("proof-invalid");
  expect((await one.enrol(proving(), { named })).body["code"]).toBe("proof-nonce");
});

test("after all of these the budget is what it was", async () => {
  expect(await one.used()).toBe(5);
  expect((await one.enrol(proving())).body["code"]).toBe("proof-budget");
});
