import { expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { readToken, TOKEN_HEADER } from "../../agent/wire/token.ts";
import { checkTrust, thumbprint } from "../../agent/wire/trust.ts";
import { isRefusal } from "../../policy/refusal.ts";

const b64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
function jws(header: string, payload: string, key: KeyObject): string {
  const input = `${b64(header)}.${b64(payload)}`;
  return `${input}.${b64(sign(null, Buffer.from(input), key))}`;
}
function key() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey, x: String(publicKey.export({ format: "jwk" }).x) };
}
const [first, second, stranger] = [key(), key(), key()];
const header = (x: string): string =>
  `{"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":"${x}"},"typ":"reeve-trust+jwt"}`;
const claims = (more: Record<string, unknown> = {}) => ({
  iss: "vendor.example",
  aud: "c",
  version: 1,
  iat: 1,
  roots: ["AAAA"],
  command_keys: [{ kid: "k1", x: first.x }],
  witness_keys: [],
  ...more,
});
const statement = (more: Record<string, unknown> = {}, by = first): string =>
  jws(header(by.x), canonical(claims(more) as unknown as Json), by.privateKey);
async function judge(text: string, before: ReturnType<typeof claims> | null = null): Promise<string> {
  const judged = await checkTrust(text, {
    cluster: "c",
    trustDomain: "vendor.example",
    before: before as never,
    pin: await thumbprint(first.x),
  });
  return isRefusal(judged) ? judged.code : `version ${judged.version}`;
}

test("the first statement is by the pinned key, each later one by a command key of the one before", async () => {
  const rotated = claims({ command_keys: [{ kid: "k2", x: second.x }] });
  expect(await judge(statement())).toBe("version 1");
  expect(await judge(statement({}, stranger))).toBe("trust.signature");
  expect(await judge(statement({ version: 2 }), claims())).toBe("version 2");
  expect(await judge(statement({ version: 2 }), rotated)).toBe("trust.signature");
  expect(await judge(statement({ version: 2 }, second), rotated)).toBe("version 2");
});
test("versions rise by one", async () => {
  for (const version of [1, 3]) expect(await judge(statement({ version }), claims())).toBe("trust.version");
  expect(await judge(statement({ version: 2 }))).toBe("trust.version");
});
test("a statement for another cluster or vendor, of other claims, header or spelling is refused", async () => {
  expect(await judge(statement({ aud: "d" }))).toBe("verify.audience");
  expect(await judge(statement({ iss: "other.example" }))).toBe("verify.issuer");
  expect(await judge(statement({ extra: 1 }))).toBe("parse.claims");
  expect(await judge(jws(header(first.x), ` ${canonical(claims())}`, first.privateKey))).toBe("parse.not-canonical");
  expect(await judge(jws(header(first.x), canonical(claims()), stranger.privateKey))).toBe("trust.signature");
  expect(
    await judge(jws(header(first.x).replace('{"alg"', '{"a":1,"alg"'), canonical(claims()), first.privateKey)),
  ).toBe("trust.signature");
  expect(await judge("x".repeat(70_000))).toBe("trust.signature");
});

const token = {
  iss: "vendor.example",
  aud: "reeve-enrol",
  sub: "c",
  jti: "a".repeat(32),
  iat: 1000,
  exp: 4600,
  url: "https://h:1",
  sha: "0".repeat(64),
};
const at = { cluster: "c", url: "https://h:1", now: 2000 };
const read = (more: Record<string, unknown>, context: Parameters<typeof readToken>[1] = at, head = TOKEN_HEADER) =>
  readToken(jws(head, canonical({ ...token, ...more } as unknown as Json), stranger.privateKey), context);
test("a token is read by form and lifetime, for this cluster, address and root; by whom it is signed is not asked", () => {
  expect(read({})).toEqual(token as never);
  expect(read({}, { ...at, sha: "0".repeat(64) })).toEqual(token as never);
});
test("a token for another cluster, address or root, from the future, expired or too long-lived is refused", () => {
  expect(read({ sub: "d" })).toMatchObject({ expired: false });
  expect(read({ url: "https://h:2" })).toMatchObject({ expired: false });
  expect(read({}, { ...at, sha: "1".repeat(64) })).toMatchObject({ expired: false });
  expect(read({ iat: 3000 })).toMatchObject({ fault: "the token was made in this machine's future" });
  expect(read({}, { ...at, now: 4600 })).toMatchObject({ expired: true });
  expect(read({ exp: 1000 + 86_401 })).toHaveProperty("fault");
  expect(read({ exp: 1000 })).toHaveProperty("fault");
  expect(read({ extra: 1 })).toHaveProperty("fault");
  expect(read({}, at, '{"alg":"none","typ":"reeve-join+jwt"}')).toHaveProperty("fault");
  expect(readToken("not a token", at)).toHaveProperty("fault");
});
