import { createPublicKey, sign } from "node:crypto";
import { ed25519Private } from "../../agent/audit/note.ts";
import { canonical, type Json } from "../../agent/wire/canonical.ts";
import { open } from "../../agent/wire/envelope.ts";
import { splitJws } from "../../agent/wire/jws.ts";
import { parse } from "../../agent/wire/parse.ts";
import { readToken, readTokenForm, TOKEN_HEADER } from "../../agent/wire/token.ts";
import { checkTrust, thumbprint } from "../../agent/wire/trust.ts";
import { isRefusal, REFUSAL_CODES } from "../../policy/refusal.ts";
import { jsonOf, mutateBytes, mutateJson } from "./mutate.ts";
import { bytesOf, codeIn, must, type Parser, textOf } from "./parser.ts";
import type { Random } from "./random.ts";

/** The formats that are a signed JWS: what is mutated is what was signed, and then it is signed again, so that the parser behind it is reached. */
const KEY = ed25519Private(Buffer.alloc(32, 9));
const X = String(createPublicKey(KEY).export({ format: "jwk" }).x);
const KEYS = new Map([["cmd-1", X]]);
const COMMAND_HEADER = '{"alg":"Ed25519","kid":"cmd-1","typ":"reeve-command+jwt"}';
const TRUST_HEADER = `{"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":"${X}"},"typ":"reeve-trust+jwt"}`;
const PIN = await thumbprint(X);

const base64url = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
function jws(header: string, payload: string): Uint8Array {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return bytesOf(`${signed}.${base64url(sign(null, Buffer.from(signed), KEY))}`);
}
function samples(header: string, claims: readonly Json[]): Uint8Array[] {
  return claims.map((each) => jws(header, canonical(each)));
}

/** Of a sample's payload another one, in canonical JSON as far as it has such a form; now and then its bytes or the JWS's. */
function resigned(random: Random, sample: Uint8Array): Uint8Array {
  const parts = splitJws(textOf(sample));
  if (parts === null || random.chance(5)) return mutateBytes(random, sample, [], 20_000);
  const payload = Buffer.from(parts.payload).toString("utf8");
  if (random.chance(6)) return jws(parts.header, textOf(mutateBytes(random, parts.payload, [], 12_000)));
  if (random.chance(12)) return jws(textOf(mutateBytes(random, bytesOf(parts.header), [], 200)), payload);
  const before = jsonOf(payload);
  if (before === undefined) return mutateBytes(random, sample, [], 20_000);
  const value = mutateJson(random, before) as Json;
  return jws(parts.header, random.chance(8) ? JSON.stringify(value) : spelt(value));
}
function spelt(value: Json): string {
  try {
    return canonical(value);
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return JSON.stringify(value);
    throw error;
  }
}

const COMMON = {
  iss: "vendor.example",
  aud: "spiffe://vendor.example/cluster/c/agent",
  jti: "01930000-0000-7000-8000-000000000000",
  iat: 1,
  exp: 2,
  epoch: 1,
  by: "maria",
  why: "load",
  dry_run: false,
};
const COMMANDS = samples(COMMAND_HEADER, [
  { ...COMMON, action: "scale", args: { group: "g", count: 3 } },
  {
    ...COMMON,
    action: "issue-certificate",
    args: { authority: "arn:x", csr_sha256: "0".repeat(64), usages: ["server"], validity: 3600 },
  },
  {
    ...COMMON,
    action: "update-dns",
    args: { zone: "Z1", name: "a.example", type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 },
  },
]);

async function command(input: Uint8Array): Promise<string> {
  const signed = await open(textOf(input), KEYS);
  if (isRefusal(signed)) return codeIn(signed.code, REFUSAL_CODES);
  const parsed = parse(signed);
  if (isRefusal(parsed)) return codeIn(parsed.code, REFUSAL_CODES);
  must(canonical(parsed.claims as unknown as Json) === signed.payload, "what was parsed is not what was signed");
  must(parsed.asked.action === parsed.claims.action, "what is asked is not what was parsed");
  return "taken";
}

const STATEMENT = {
  iss: "vendor.example",
  aud: "c",
  version: 1,
  iat: 1,
  roots: ["AAAA"],
  command_keys: [{ kid: "k1", x: X }],
  witness_keys: [{ kid: "w1", x: X }],
};
async function trust(input: Uint8Array): Promise<string> {
  const text = textOf(input);
  const judged = await checkTrust(text, { cluster: "c", trustDomain: "vendor.example", before: null, pin: PIN });
  if (isRefusal(judged)) return codeIn(judged.code, REFUSAL_CODES);
  const payload = Buffer.from(splitJws(text)?.payload ?? []).toString("utf8");
  must(canonical(judged as unknown as Json) === payload, "what was parsed is not what was signed");
  return "taken";
}

const CLAIMS = {
  iss: "vendor.example",
  aud: "reeve-enrol",
  sub: "c",
  jti: "A".repeat(22),
  iat: 100,
  exp: 200,
  url: "https://control.vendor.example:8443",
  sha: "0".repeat(64),
};
function token(input: Uint8Array): string {
  const text = textOf(input);
  const form = readTokenForm(text);
  const read = readToken(text, { cluster: "c", url: CLAIMS.url, now: 150 });
  if ("fault" in read) {
    must(read.fault !== "" && read.hint !== "", "a refusal without words");
    return "fault" in form ? "form" : "context";
  }
  must(!("fault" in form), "taken with a form that is refused");
  const payload = Buffer.from(splitJws(text)?.payload ?? []).toString("utf8");
  must(canonical(read as unknown as Json) === payload, "what was parsed is not what was signed");
  return "taken";
}

export const SIGNED: readonly Parser[] = [
  { name: "envelope", maxBytes: 20_000, corpus: COMMANDS, hold: command },
  { name: "command", maxBytes: 20_000, corpus: COMMANDS, mutate: resigned, hold: command },
  { name: "trust", maxBytes: 60_000, corpus: samples(TRUST_HEADER, [STATEMENT]), mutate: resigned, hold: trust },
  { name: "token", maxBytes: 10_000, corpus: samples(TOKEN_HEADER, [CLAIMS]), mutate: resigned, hold: token },
];
