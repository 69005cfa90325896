import { expect, test } from "bun:test";
import { createPublicKey, type JsonWebKeyInput, verify } from "node:crypto";
import { open } from "../../agent/wire/envelope.ts";
import { openHead } from "../../agent/wire/head.ts";
import { splitJws } from "../../agent/wire/jws.ts";
import { readTokenForm } from "../../agent/wire/token.ts";
import { checkTrust } from "../../agent/wire/trust.ts";
import { isRefusal } from "../../policy/refusal.ts";
import { type Case, deviations, held } from "./held.ts";
import { vendored } from "./vendored.ts";

type Jwk = JsonWebKeyInput["key"] & { readonly kty?: string; readonly crv?: string };
type Group = {
  readonly comment: string;
  readonly public?: Jwk;
  readonly tests: readonly { readonly tcId: number; readonly jws: string | object; readonly result: string }[];
};
const groups = (): readonly Group[] =>
  vendored<{ testGroups: readonly Group[] }>("wycheproof-json_web_signature").testGroups;
const asText = (jws: string | object): string => (typeof jws === "string" ? jws : JSON.stringify(jws));

/** One that is never reached: none of the suite's tokens has a header that reeve signs under. */
const KEYS = new Map([["kid-ec-sign", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"]]);

test("Wycheproof, JWS: none is a command, a trust statement, a join token or a head, whatever its algorithm and key", async () => {
  let looked = 0;
  for (const { tests } of groups())
    for (const { jws } of tests) {
      const text = asText(jws);
      expect(isRefusal(await open(text, KEYS))).toBe(true);
      expect("fault" in readTokenForm(text)).toBe(true);
      expect("bad" in openHead(text, { agentId: "spiffe://v/cluster/c/agent", cluster: "c", roots: [] })).toBe(true);
      const at = { cluster: "c", trustDomain: "v", before: null, pin: "" };
      expect(isRefusal(await checkTrust(text, at))).toBe(true);
      looked += 1;
    }
  process.stdout.write(`Wycheproof JWS: ${looked} tokens, each refused by four readers\n`);
  expect(looked).toBe(401);
});

/** As a head is verified: the parts, then ECDSA P-256 over what was signed. What its header says is not looked at. */
function verified(text: string, jwk: Jwk): string {
  const parts = splitJws(text);
  if (parts === null) return "invalid";
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const signed = Buffer.from(text.slice(0, text.lastIndexOf(".")));
  return verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, parts.signature) ? "valid" : "invalid";
}

test("Wycheproof, JWS by ES256: a signature as a head has it is judged as the suite says", () => {
  const cases = groups().flatMap(({ comment, public: key, tests }): Case[] =>
    key?.kty !== "EC" || key.crv !== "P-256"
      ? []
      : tests.map(({ tcId, jws, result }) => ({
          id: `${comment} ${tcId}`,
          says: result,
          ours: verified(asText(jws), key),
        })),
  );
  expect(cases.length).toBe(41);
  expect(held("Wycheproof JWS ES256", cases, deviations("jws"))).toEqual([]);
});
