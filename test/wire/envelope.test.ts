import { expect, test } from "bun:test";
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import fc from "fast-check";
import { MAX_COMMAND_BYTES } from "../../agent/limits.ts";
import { canonical, type Json, parseCanonical } from "../../agent/wire/canonical.ts";
import { open } from "../../agent/wire/envelope.ts";
import { signedBy } from "../../agent/wire/jws.ts";
import { parse } from "../../agent/wire/parse.ts";
import { thumbprint } from "../../agent/wire/trust.ts";
import { isRefusal } from "../../policy/refusal.ts";

const pair = generateKeyPairSync("ed25519");
const X = String(pair.publicKey.export({ format: "jwk" }).x);
const KEYS = new Map([["cmd-1", X]]);
const HEADER = '{"alg":"Ed25519","kid":"cmd-1","typ":"reeve-command+jwt"}';
const CLAIMS = {
  iss: "vendor.example",
  aud: "spiffe://vendor.example/cluster/c/agent",
  jti: "01930000-0000-7000-8000-000000000000",
  iat: 1,
  exp: 2,
  epoch: 1,
  by: "maria",
  why: "load",
  dry_run: false,
  action: "scale",
  args: { group: "g", count: 3 },
};
const b64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
function jws(payload: string | Uint8Array, header = HEADER, key = pair.privateKey): string {
  const input = `${b64(header)}.${b64(payload)}`;
  return `${input}.${b64(sign(null, Buffer.from(input), key))}`;
}
async function codeOf(text: string, keys: ReadonlyMap<string, string> = KEYS): Promise<string> {
  const signed = await open(text, keys);
  if (isRefusal(signed)) return signed.code;
  const command = parse(signed);
  return isRefusal(command) ? command.code : "taken";
}
const codeOfPayload = (payload: string | Uint8Array): Promise<string> => codeOf(jws(payload));
const withClaims = (more: Record<string, unknown>): Promise<string> =>
  codeOfPayload(canonical({ ...CLAIMS, ...more } as unknown as Json));

test("a good command is opened and parsed", async () => {
  expect(await withClaims({})).toBe("taken");
});

const HEADERS: readonly [string, string][] = [
  ["alg none", '{"alg":"none","kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["EdDSA, the older name", '{"alg":"EdDSA","kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["crit", '{"alg":"Ed25519","crit":["b64"],"kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["b64 false", '{"alg":"Ed25519","b64":false,"crit":["b64"],"kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["a jwk", `{"alg":"Ed25519","jwk":{"crv":"Ed25519","kty":"OKP","x":"${X}"},"kid":"cmd-1","typ":"reeve-command+jwt"}`],
  ["another order", '{"kid":"cmd-1","alg":"Ed25519","typ":"reeve-command+jwt"}'],
  ["white space", '{"alg": "Ed25519","kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["a newline after it", `${HEADER}\n`],
  ["a duplicate", '{"alg":"Ed25519","alg":"none","kid":"cmd-1","typ":"reeve-command+jwt"}'],
  ["another typ", '{"alg":"Ed25519","kid":"cmd-1","typ":"reeve-trust+jwt"}'],
  ["an empty kid", '{"alg":"Ed25519","kid":"","typ":"reeve-command+jwt"}'],
  ["a kid with a slash", '{"alg":"Ed25519","kid":"../x","typ":"reeve-command+jwt"}'],
];
for (const [what, header] of HEADERS)
  test(`a header with ${what} is refused, although its signature is good`, async () => {
    expect(await codeOf(jws(canonical(CLAIMS), header))).toBe("open.header");
  });

test("HS256 with the public key as the secret is refused", async () => {
  const input = `${b64('{"alg":"HS256","kid":"cmd-1","typ":"reeve-command+jwt"}')}.${b64(canonical(CLAIMS))}`;
  expect(
    await codeOf(`${input}.${createHmac("sha256", Buffer.from(X, "base64url")).update(input).digest("base64url")}`),
  ).toBe("open.header");
  const under = `${b64(HEADER)}.${b64(canonical(CLAIMS))}`;
  expect(
    await codeOf(`${under}.${createHmac("sha256", Buffer.from(X, "base64url")).update(under).digest("base64url")}`),
  ).toBe("open.signature");
});

test("unsigned, another key, an unknown or dropped key, a changed byte", async () => {
  const good = jws(canonical(CLAIMS));
  const [header, payload, signature] = good.split(".");
  expect(await codeOf(`${header}.${payload}.`)).toBe("open.form");
  expect(await codeOf(jws(canonical(CLAIMS), HEADER, generateKeyPairSync("ed25519").privateKey))).toBe(
    "open.signature",
  );
  expect(await codeOf(good, new Map([["cmd-2", X]]))).toBe("open.key");
  expect(await codeOf(good, new Map())).toBe("open.key");
  expect(await codeOf(`${header}.${b64(canonical({ ...CLAIMS, epoch: 2 }))}.${signature}`)).toBe("open.signature");
});

test("a signature that is not base64url, or spelled another way, or more parts", async () => {
  const good = jws(canonical(CLAIMS));
  // 64 bytes leave four stray bits in the last character: another spelling of the same signature.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const stray = good.slice(0, -1) + alphabet[alphabet.indexOf(good.at(-1) ?? "A") + 1];
  for (const text of ["", "a.b", `${good}.x`, `${good}=`, `${good}\n`, ` ${good}`, stray, good.replace(".", ".é")])
    expect(await codeOf(text)).toBe("open.form");
});

test("over-long bytes are refused before anything is looked at", async () => {
  expect(await codeOf("a".repeat(MAX_COMMAND_BYTES + 1))).toBe("open.too-long");
  expect(await codeOf(jws(canonical({ ...CLAIMS, why: "x".repeat(MAX_COMMAND_BYTES) })))).toBe("open.too-long");
});

test("any change of one byte of a command is refused", async () => {
  const good = jws(canonical(CLAIMS));
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 0, max: 127 }), async (at, code) => {
      const char = String.fromCharCode(code);
      if (good[at] === char) return;
      expect(await codeOf(good.slice(0, at) + char + good.slice(at + 1))).not.toBe("taken");
    }),
    { numRuns: 300 },
  );
});

const good = canonical(CLAIMS);
const PAYLOADS: readonly [string, string | Uint8Array, string][] = [
  ["white space", `${good} `, "parse.not-canonical"],
  ["a byte order mark", `\ufeff${good}`, "parse.not-canonical"],
  [
    "bytes that are no UTF-8",
    Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0xff, 0x7d])]),
    "parse.not-canonical",
  ],
  ["keys in another order", JSON.stringify(CLAIMS), "parse.not-canonical"],
  ["a duplicate key", good.replace('"count":3', '"count":3,"count":4'), "parse.not-canonical"],
  ["an escape that is not needed", good.replace("maria", "\\u006daria"), "parse.not-canonical"],
  ["1.0", good.replace('"count":3', '"count":3.0'), "parse.not-canonical"],
  ["1e1", good.replace('"count":3', '"count":3e1'), "parse.not-canonical"],
  ["a float", good.replace('"count":3', '"count":3.5'), "parse.number"],
  ["a negative count", good.replace('"count":3', '"count":-3'), "parse.number"],
  ["a huge count", good.replace('"count":3', '"count":1000001'), "parse.number"],
  ["a number beyond safety", good.replace('"count":3', '"count":9007199254740993'), "parse.number"],
  ["deep nesting", good.replace('"count":3', `"count":${"[".repeat(9)}${"]".repeat(9)}`), "parse.too-deep"],
  ["nothing", "", "parse.not-canonical"],
  ["null", "null", "parse.claims"],
  ["a list", "[]", "parse.claims"],
];
for (const [what, payload, code] of PAYLOADS)
  test(`a signed payload with ${what} is refused`, async () => {
    expect(payload).not.toBe(good);
    expect(await codeOfPayload(payload)).toBe(payload === "" ? "open.form" : code);
  });

test("__proto__ is an unknown claim, wherever it stands, and changes no prototype", async () => {
  expect(await codeOfPayload(good.replace('{"action"', '{"__proto__":{"polluted":1},"action"'))).toBe("parse.claims");
  expect(await codeOfPayload(good.replace('"args":{', '"args":{"__proto__":{"polluted":1},'))).toBe("parse.claims");
  expect(await codeOfPayload(good.replace('"count":3', '"constructor":1,"count":3'))).toBe("parse.claims");
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test("unknown, missing and misformed claims, and unknown actions", async () => {
  expect(await withClaims({ extra: 1 })).toBe("parse.claims");
  for (const claim of Object.keys(CLAIMS).filter((name) => name !== "action")) {
    const { [claim as "iss"]: _, ...rest } = CLAIMS;
    expect([claim, await codeOfPayload(canonical(rest as unknown as Json))]).toEqual([claim, "parse.claims"]);
  }
  expect(await withClaims({ action: "delete-everything" })).toBe("parse.action");
  expect(await withClaims({ action: "toString" })).toBe("parse.action");
  expect(await withClaims({ jti: "01930000-0000-4000-8000-000000000000" })).toBe("parse.claims");
  expect(await withClaims({ by: "a\u001b[31m" })).toBe("parse.claims");
  expect(await withClaims({ dry_run: "false" })).toBe("parse.claims");
});

const NAMES = [
  "x.example.com.",
  "X.example.com",
  "bücher.example",
  "xn--bcher-kva.example",
  "a\u0000b.example",
  "*.example.com",
  "a..example",
  ".example",
  "",
  "-a.example",
  `${"a.".repeat(127)}aa`,
  `${"a".repeat(64)}.example`,
];
for (const name of NAMES)
  test(`the DNS name ${JSON.stringify(name).slice(0, 40)} is refused, not normalised`, async () => {
    const args = { zone: "z", name, type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 };
    expect(await withClaims({ action: "update-dns", args })).toBe("parse.name");
    expect(await withClaims({ action: "update-dns", args: { ...args, name: "a.example" } })).toBe("taken");
  });
test("a resource's name is printable ASCII", async () => {
  for (const group of ["", "a b", "g\u0000", "g\n", 'g"', "gé", "g".repeat(2049)])
    expect(await withClaims({ args: { group, count: 1 } })).toBe("parse.name");
});

/** RFC 8037 appendix A.1 to A.4. */
const RFC8037 = {
  kty: "OKP",
  crv: "Ed25519",
  d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
};
test("RFC 8037 appendix A.3: the thumbprint", async () => {
  expect(await thumbprint(RFC8037.x)).toBe("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
});
test("RFC 8037 appendix A.4: the Ed25519 signature, under the algorithm's name of RFC 9864", async () => {
  const input = `${b64('{"alg":"EdDSA"}')}.${b64("Example of Ed25519 signing")}`;
  const signature = sign(null, Buffer.from(input), createPrivateKey({ key: RFC8037, format: "jwk" })).toString(
    "base64url",
  );
  expect(signature).toBe("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  expect(await signedBy(`${input}.${signature}`, RFC8037.x)).toBe(false);
  const ours = `${b64('{"alg":"Ed25519"}')}.${b64("Example of Ed25519 signing")}`;
  const signed = `${ours}.${sign(null, Buffer.from(ours), createPrivateKey({ key: RFC8037, format: "jwk" })).toString("base64url")}`;
  expect(await signedBy(signed, RFC8037.x)).toBe(true);
});

test("RFC 8785 section 3.2.2 to 3.2.4: literals, strings and the order of keys", () => {
  expect(canonical({ string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/", literals: [null, true, false] })).toBe(
    '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  const sorting = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\ufb33": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\ud83d\ude00": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  expect(Object.values(JSON.parse(canonical(sorting)))).toContain("One");
  expect([...canonical(sorting).matchAll(/:"([^"]+)"/g)].map((match) => match[1])).toEqual([
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
  ]);
});
const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string({ unit: "binary" }),
    fc.maxSafeInteger().map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie("value"), { maxKeys: 4 }),
  ),
})).value;
test("what canonical writes, parseCanonical takes and gives back; any other spelling is refused", () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = canonical(value);
      const read = parseCanonical(text);
      expect("value" in read ? canonical(read.value) : read.fault).toBe(text);
      expect(parseCanonical(`${text} `)).toEqual({ fault: "parse.not-canonical" });
    }),
    { numRuns: 500 },
  );
});
