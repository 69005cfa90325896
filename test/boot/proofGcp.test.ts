/** Google's word for a machine, through the compiled control plane: what enrols by it, and what is refused and changes nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Proof, reeveAudience } from "../../agent/wire/proof.ts";
import { CLUSTER, makeKey } from "../control/client.ts";
import { type Issuer, type Jwk, jwkOf, keyedToken, newSigner, startIssuer, token } from "./issuer.ts";
import { type Prove, spkiOf, startVendor, type Vendor } from "./vendor.ts";

const PROJECT = "customer-prod-1";
const ACCOUNT = `reeve-agent@${PROJECT}.iam.gserviceaccount.com`;
const folder = mkdtempSync(join(tmpdir(), "reeve-google-"));
let google: Issuer;
let vendor: Vendor;

beforeAll(async () => {
  google = await startIssuer("www.googleapis.com", folder);
  vendor = await startVendor(
    `gcp: { keys: { host: www.googleapis.com, path: /oauth2/v3/certs, at: "${google.at}", ca: ${google.ca} } }\n`,
  );
  await vendor.admit("--gcp", `${PROJECT}/${ACCOUNT}`, "--budget", "2");
});
afterAll(async () => {
  await vendor.end();
  await google.stop();
  rmSync(folder, { recursive: true, force: true });
});

const now = (): number => Math.floor(Date.now() / 1000);
/** As "Verifying the identity of VM instances" shows a token with `format=full`. */
function claims(binding: Uint8Array, more: Jwk = {}): Jwk {
  return {
    ...{ iss: "https://accounts.google.com", aud: reeveAudience(binding), iat: now(), exp: now() + 3600 },
    ...{ sub: "107517467455664443765", azp: "107517467455664443765", email: ACCOUNT, email_verified: true },
    google: {
      compute_engine: {
        ...{ project_id: PROJECT, project_number: 739419398126, zone: "europe-west1-b" },
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
  (more: Jwk = {}): Prove =>
  (binding) =>
    proofOf(token(claims(binding, more), google.signer));

test("the first enrolment needs the token and the proof, a replacement the proof alone", async () => {
  expect((await vendor.enrol(honest())).body).toMatchObject({ code: "token-needed" });
  expect((await vendor.enrol(null, { token: await vendor.newToken() })).body).toMatchObject({ code: "proof-needed" });
  const first = await vendor.enrol(honest(), { token: await vendor.newToken() });
  expect(first).toMatchObject({ status: 200, body: { epoch: 1 } });
  expect(await vendor.enrol(honest())).toMatchObject({ status: 200, body: { epoch: 2 } });
  expect(google.asked).toEqual(["/oauth2/v3/certs"]);
});

const other = newSigner();
const gone = { google: undefined };
const within = (more: Jwk) => ({
  google: {
    compute_engine: { ...(claims(new Uint8Array(32))["google"] as { compute_engine: Jwk }).compute_engine, ...more },
  },
});

test.each<[string, Prove, string, string]>([
  ["of another project", honest(within({ project_id: "customer-test-1" })), "proof-not-admitted", "customer-test-1"],
  ["of another account", honest({ email: `other@${PROJECT}.iam.gserviceaccount.com` }), "proof-not-admitted", "other@"],
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
  const answer = await vendor.enrol(prove);
  expect(answer).toMatchObject({ status: 403, body: { code } });
  expect(String(answer.body["message"])).toContain(says);
});

/** The same signature over other claims. */
function changed(text: string, to: Jwk): string {
  const [header, , signature] = text.split(".");
  return [header, Buffer.from(JSON.stringify(to)).toString("base64url"), signature].join(".");
}

test("a proof for another key, control plane, cluster or nonce is for another audience, and no nonce is taken twice", async () => {
  const thief = spkiOf(await makeKey());
  for (const instead of [
    { spki: thief },
    { pin: new Uint8Array(32).fill(7) },
    { cluster: "prod-us-1" },
    { nonce: Buffer.from(await vendor.nonce(), "base64url") },
  ]) {
    const answer = await vendor.enrol(honest(), { instead });
    expect([Object.keys(instead), answer.body["code"]]).toEqual([Object.keys(instead), "proof-invalid"]);
    expect(String(answer.body["message"])).toContain("another audience");
  }
  const named = await vendor.nonce();
  expect((await vendor.enrol(honest({ aud: "https://vault.example" }), { instead: { named } })).body["code"]).toBe(
    "proof-invalid",
  );
  expect((await vendor.enrol(honest(), { instead: { named } })).body["code"]).toBe("proof-nonce");
  const made = Buffer.alloc(32, 1).toString("base64url");
  expect((await vendor.enrol(honest(), { instead: { named: made } })).body["code"]).toBe("proof-nonce");
});

test("after all of these the budget is what it was, and the admitted machine enrols", async () => {
  const shown = await vendor.run("admit", "show", CLUSTER, "--json");
  expect(JSON.parse(shown.stdout)).toMatchObject({ admissions: [{ budget: 2, used: 1 }] });
  expect(await vendor.enrol(honest())).toMatchObject({ status: 200, body: { epoch: 3 } });
  expect((await vendor.enrol(honest())).body["code"]).toBe("proof-budget");
});
