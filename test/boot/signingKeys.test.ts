/** The keys by which platforms sign: which are taken, how long they hold, how often they are asked for, and what an answer may be. */
import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askKeys, type KeysPlace } from "../../control/proof/keysPlace.ts";
import { keysIn, signingKeys } from "../../control/proof/signingKeys.ts";
import { type Jwk, jwkOf, newSigner, startIssuer } from "./issuer.ts";

const [one, two] = [newSigner(), newSigner()];
const set = (...keys: readonly Jwk[]): string => JSON.stringify({ keys });
const HOUR = 3600_000;
const MINUTE = 60_000;

/** A platform that answers with `body`, or is away; `at` is the time. */
function platform(body: string) {
  const state = { body, away: false, asked: 0, at: 1_000_000 };
  const ask = async () => {
    state.asked++;
    if (state.away) return { unreachable: "no connection that can be trusted" };
    return { status: 200, type: "application/json", body: state.body };
  };
  return { state, keys: signingKeys(ask, () => state.at) };
}

test("keys are read once for as long as they are fresh, however many ask at once", async () => {
  const { state, keys } = platform(set(jwkOf(one)));
  const found = await Promise.all(Array.from({ length: 20 }, () => keys.find(one.kid)));
  expect(new Set(found.map((key) => JSON.stringify(key))).size).toBe(1);
  expect(found[0]).toMatchObject({ kid: one.kid, e: "AQAB" });
  state.at += HOUR - 1;
  await keys.find(one.kid);
  expect(state.asked).toBe(1);
  state.at += 1;
  await keys.find(one.kid);
  expect(state.asked).toBe(2);
});

test("a key that is not known has them read anew, once a minute at most, whatever is sent", async () => {
  const { state, keys } = platform(set(jwkOf(one)));
  await keys.find(one.kid);
  for (let nth = 0; nth < 50; nth++) expect(await keys.find(`made-up-${nth}`)).toBeNull();
  expect(state.asked).toBe(1);
  state.body = set(jwkOf(two));
  state.at += MINUTE;
  expect(await keys.find(two.kid)).toMatchObject({ kid: two.kid });
  expect(await keys.find(one.kid)).toBeNull();
  expect(state.asked).toBe(2);
});

test("a key that the platform took back signs nothing once the keys are read anew", async () => {
  const { state, keys } = platform(set(jwkOf(one), jwkOf(two)));
  await keys.find(one.kid);
  state.body = set(jwkOf(two));
  state.at += HOUR;
  expect(await keys.find(one.kid)).toBeNull();
});

test("while the platform is away keys hold for some hours, and then none does", async () => {
  const { state, keys } = platform(set(jwkOf(one)));
  await keys.find(one.kid);
  state.away = true;
  state.at += 6 * HOUR - 1;
  expect(await keys.find(one.kid)).toMatchObject({ kid: one.kid });
  state.at += 1;
  expect(await keys.find(one.kid)).toHaveProperty("unreachable");
  const asked = state.asked;
  expect(await keys.find(one.kid)).toEqual({ unreachable: "it was asked a moment ago" });
  expect(state.asked).toBe(asked);
  state.away = false;
  state.at += MINUTE;
  expect(await keys.find(one.kid)).toMatchObject({ kid: one.kid });
});

test.each<[string, string, number | null]>([
  ["a good one", set(jwkOf(one)), 1],
  ["one without its use and algorithm", set(jwkOf(one, { use: undefined, alg: undefined })), 1],
  ["one of an elliptic curve beside it", set(jwkOf(one), { kid: "ec", ...ellipticKey() }), 1],
  ["a weak one", set(jwkOf(newSigner(1024))), 0],
  ["one with another exponent", set(jwkOf(one, { e: "Aw" })), 0],
  ["one that is no number", set(jwkOf(one, { n: "!" })), 0],
  ["one for another algorithm", set(jwkOf(one, { alg: "RS512" })), 0],
  ["one that encrypts", set(jwkOf(one, { use: "enc" })), 0],
  ["one without a name", set(jwkOf(one, { kid: undefined })), 0],
  ["two under one name", set(jwkOf(one), jwkOf({ ...two, kid: one.kid })), 0],
  ["one under the name of another kind's", set(jwkOf(one), { kid: one.kid, ...ellipticKey() }), 0],
  ["a symmetric one", set({ kty: "oct", kid: "k", k: "c2VjcmV0", alg: "HS256" }), 0],
  ["none", set(), 0],
  ["too many", set(...Array.from({ length: 65 }, (_, nth) => jwkOf({ ...one, kid: String(nth) }))), null],
  ["no set", "[]", null],
  ["no JSON", "keys", null],
])("of a set with %s are taken", (_, text, count) => {
  expect(keysIn(text)?.size ?? null).toBe(count);
});

function ellipticKey(): Jwk {
  return { ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }) };
}

test("what redirects, hangs, is huge, never ends, is no set of keys, fails, or is of another CA gives no keys", async () => {
  const folder = mkdtempSync(join(tmpdir(), "reeve-keys-"));
  const issuer = await startIssuer("keys.example", folder);
  const place: KeysPlace = { host: "keys.example", at: issuer.at, path: "/keys", ca: readFileSync(issuer.ca, "utf8") };
  const find = (path: string, more: Partial<KeysPlace> = {}) =>
    signingKeys(
      () => askKeys({ ...place, path, ...more }),
      () => performance.now(),
    ).find(issuer.signer.kid);
  const untrusted = { unreachable: "no connection that can be trusted" };
  const late = { unreachable: "it did not answer in time" };
  try {
    expect(await find("/keys")).toMatchObject({ kid: issuer.signer.kid });
    expect(await find("/redirect")).toEqual({ unreachable: "it answers 302" });
    expect(issuer.asked).toEqual(["/keys", "/redirect"]);
    expect(await find("/huge")).toEqual({ unreachable: "its answer is over 65536 bytes" });
    expect(await find("/no-keys")).toEqual({ unreachable: "what it answers is no set of keys" });
    expect(await find("/error")).toEqual({ unreachable: "it answers 503" });
    const stranger = await startIssuer("stranger.example", folder);
    await stranger.stop();
    expect(await find("/keys", { ca: readFileSync(stranger.ca, "utf8") })).toEqual(untrusted);
    expect(await find("/keys", { host: "other.example" })).toEqual(untrusted);
    expect(await find("/keys", { ca: null })).toEqual(untrusted);
    expect(await Promise.all([find("/hang"), find("/endless")])).toEqual([late, late]);
  } finally {
    await issuer.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
