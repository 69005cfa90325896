/** Google's word for a machine, through the compiled executables: an agent that joins by it, and what is refused and changes nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Proof, reeveAudience } from "../../agent/wire/proof.ts";
import { makeKey } from "../control/client.ts";
import { providerLines, rulesFor } from "../gcp/stage.ts";
import { type World as Cloud, startWorld } from "../gcp/world/world.ts";
import { nonceOf } from "./attacker.ts";
import { type Customer, customer, killed, type Prove, replaced } from "./customer.ts";
import { type Issuer, type Jwk, jwkOf, keyedToken, newSigner, startIssuer, token } from "./issuer.ts";

const folder = mkdtempSync(join(tmpdir(), "reeve-google-"));
let google: Issuer;
let cloud: Cloud;
let one: Customer;

beforeAll(async () => {
  google = await startIssuer("www.googleapis.com", folder);
  cloud = await startWorld();
  cloud.metadata.sign = (said) => token(said, google.signer);
  const place = `{ cloud: gcp, project: ${cloud.project}, region: ${cloud.region} }`;
  one = await customer(
    { rules: rulesFor(cloud), place, provider: providerLines(cloud) },
    () => `gcp: { keys: { host: www.googleapis.com, path: /oauth2/v3/certs, at: "${google.at}", ca: ${google.ca} } }\n`,
  );
  await one.admit("--gcp", `${cloud.project}/${cloud.account}`, "--budget", "3");
}, 600_000);
afterAll(async () => {
  await one?.end();
  await cloud?.stop();
  await google?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

const now = (): number => Math.floor(Date.now() / 1000);
/** As "Verifying the identity of VM instances" shows a token with `format=full`. */
function claims(binding: Uint8Array, more: Jwk = {}): Jwk {
  return {
    ...{ iss: "https://accounts.google.com", aud: reeveAudience(binding), iat: now(), exp: now() + 3600 },
    ...{ sub: "107517467455664443765", azp: "107517467455664443765", email: cloud.account, email_verified: true },
    google: {
      compute_engine: {
        ...{ project_id: cloud.project, project_number: 739419398126, zone: "europe-west1-b" },
        ...{ instance_id: "152986662232938449", instance_name: "reeve-0", instance_creation_timestamp: 1552953399 },
        instance_confidentiality: 0,
      },
    },
    ...more,
  };
}
const proofOf = (text: string): Proof => ({ platform: "gcp", token: text });
/** `more`: claims that are otherwise. */
const honest =
  (more: Jwk | (() => Jwk) = {}): Prove =>
  (binding) =>
    proofOf(token(claims(binding, typeof more === "function" ? more() : more), google.signer));

test("an agent joins by the token and what Google says of its machine; either alone enrols nobody", async () => {
  expect((await one.enrol(honest())).body).toMatchObject({ code: "token-needed" });
  expect((await one.enrol(null, { token: await one.newToken() })).body).toMatchObject({ code: "proof-needed" });
  one.vendor.startAgent();
  await one.until("the first is ready", async () => (await one.status(one.vendor)).epoch === 1);
  const asked = cloud.metadataCalls.filter((call) => call.includes("/identity?"));
  expect(asked.length).toBeGreaterThan(0);
  for (const call of asked)
    expect(call).toMatch(
      new RegExp(
        `^GET /computeMetadata/v1/instance/service-accounts/${cloud.account}/identity\\?audience=https%3A%2F%2Freeve%2F[0-9a-f]{64}&format=full$`,
      ),
    );
  expect(new Set(google.asked)).toEqual(new Set(["/oauth2/v3/certs"]));
  expect(await one.used()).toBe(0);
}, 120_000);

test("a machine that replaces it joins by its proof alone, and the older one is fenced", async () => {
  await replaced(one);
  expect(await one.used()).toBe(1);
}, 240_000);

test("an agent whose metadata server has no word for the configured account does not send another's", async () => {
  const lost = one.vendor.newMachine("lost", "");
  rmSync(lost.token);
  cloud.metadata.account = "other@another-project.iam.gserviceaccount.com";
  const agent = lost.startAgent();
  await one.until("it says why it waits", async () => (await one.status(lost)).reason.includes("no-account"));
  await killed(agent);
  cloud.metadata.account = cloud.account;
  lost.startAgent();
  await one.until("it has joined", async () => (await one.status(lost)).epoch === 3);
  expect(await one.used()).toBe(2);
}, 240_000);

const other = newSigner();
const gone = { google: undefined };
/** Of the instance, something else. */
const within = (more: Jwk) => (): Jwk => {
  const { compute_engine } = claims(new Uint8Array(32))["google"] as { compute_engine: Jwk };
  return { google: { compute_engine: { ...compute_engine, ...more } } };
};

test.each<[string, Prove, string, string]>([
  ["of another project", honest(within({ project_id: "customer-test-1" })), "proof-not-admitted", "customer-test-1"],
  [
    "of another account",
    honest({ email: "other@customer-prod-1.iam.gserviceaccount.com" }),
    "proof-not-admitted",
    "other@",
  ],
  [
    "that names no instance: whoever may make tokens for the account has such",
    honest(gone),
    "proof-invalid",
    "full identity token",
  ],
  ["of no instance's id", honest(within({ instance_id: undefined })), "proof-invalid", "full identity token"],
  ["of an address that is not verified", honest({ email_verified: false }), "proof-invalid", "full identity token"],
  [
    "by another issuer",
    honest({ iss: "https://accounts.google.com.evil.example" }),
    "proof-invalid",
    "full identity token",
  ],
  ["for another audience", honest({ aud: "https://vault.example" }), "proof-invalid", "another audience"],
  [
    "for several audiences",
    (binding) => honest({ aud: [reeveAudience(binding)] })(binding),
    "proof-invalid",
    "full identity token",
  ],
  ["that has expired", honest({ exp: now() - 1 }), "proof-invalid", "expired"],
  ["that is not yet valid", honest({ iat: now() + 600, exp: now() + 4200 }), "proof-invalid", "not yet valid"],
  ["that begins later", honest({ nbf: now() + 600 }), "proof-invalid", "not yet valid"],
  ["that never ends", honest({ exp: undefined }), "proof-invalid", "until when"],
  [
    "signed by no algorithm",
    (binding) => proofOf(`${token(claims(binding), google.signer, { alg: "none" })}`),
    "proof-invalid",
    "not one that is signed by RS256",
  ],
  [
    "keyed by the published key",
    (binding) => proofOf(keyedToken(claims(binding), google.signer)),
    "proof-invalid",
    "not one that is signed by RS256",
  ],
  [
    "by another of RSA's algorithms",
    (binding) => proofOf(token(claims(binding), google.signer, { alg: "PS256" })),
    "proof-invalid",
    "not one that is signed by RS256",
  ],
  [
    "with a header that must be understood",
    (binding) => proofOf(token(claims(binding), google.signer, { crit: ["exp"] })),
    "proof-invalid",
    "not one that is signed by RS256",
  ],
  [
    "by a key that brings itself along",
    (binding) => proofOf(token(claims(binding), other, { jwk: jwkOf(other) })),
    "proof-invalid",
    "does not publish",
  ],
  [
    "by another's key under the name of the published one",
    (binding) => proofOf(token(claims(binding), { ...other, kid: google.signer.kid })),
    "proof-invalid",
    "signature is wrong",
  ],
  [
    "changed after it was signed",
    (binding) =>
      proofOf(
        changed(token(claims(binding, { email: "x@y.iam.gserviceaccount.com" }), google.signer), claims(binding)),
      ),
    "proof-invalid",
    "signature is wrong",
  ],
])("a token %s is refused", async (_, prove, code, says) => {
  const answer = await one.enrol(prove);
  expect(answer).toMatchObject({ status: 403, body: { code } });
  expect(String(answer.body["message"])).toContain(says);
});

/** The same signature over other claims. */
function changed(text: string, to: Jwk): string {
  const [header, , signature] = text.split(".");
  return [header, Buffer.from(JSON.stringify(to)).toString("base64url"), signature].join(".");
}

test("a proof for another key, control plane, cluster or nonce is for another audience, and no nonce is taken twice", async () => {
  for (const how of [
    { bind: { key: await makeKey() } },
    { bind: { pin: randomBytes(32) } },
    { bind: { cluster: "prod-us-1" } },
    { other: await nonceOf(one.caller) },
  ]) {
    const answer = await one.enrol(honest(), how);
    expect([how, answer.body["code"]]).toEqual([how, "proof-invalid"]);
    expect(String(answer.body["message"])).toContain("another audience");
  }
  const named = await nonceOf(one.caller);
  expect((await one.enrol(honest({ email_verified: false }), { named })).body["code"]).toBe("proof-invalid");
  expect((await one.enrol(honest(), { named })).body["code"]).toBe("proof-nonce");
  expect((await one.enrol(honest(), { named: randomBytes(32).toString("base64url") })).body["code"]).toBe(
    "proof-nonce",
  );
});

test("after all of these the budget is what it was, and the admitted machine enrols", async () => {
  expect(await one.used()).toBe(2);
  expect(await one.enrol(honest())).toMatchObject({ status: 200, body: { epoch: 4 } });
  expect((await one.enrol(honest())).body["code"]).toBe("proof-budget");
});
