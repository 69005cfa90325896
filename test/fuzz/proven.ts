import { generateKeyPairSync, sign } from "node:crypto";
import { EnrolRequest } from "../../agent/wire/protocol.ts";
import { readDocument } from "../../control/proof/azureDocument.ts";
import { readPlatformToken } from "../../control/proof/platformToken.ts";
import vector from "../boot/vectors/azure-attested.json";
import { jsonOf, mutateBytes, mutateDer, mutateJson } from "./mutate.ts";
import { bytesOf, must, type Parser, textOf } from "./parser.ts";
import type { Random } from "./random.ts";

/** What a machine that joins shows of its platform, as the control plane reads it. */
const REQUESTS = [
  { token: "a.b.c", proof: null, nonce: null, csr: "AAAA" },
  {
    token: null,
    proof: {
      platform: "aws",
      region: "eu-west-1",
      date: "20261129T040000Z",
      session: "IQoJb3JpZ2luX2VjE",
      authorization:
        "AWS4-HMAC-SHA256 Credential=A/20261129/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=00",
    },
    nonce: "A".repeat(43),
    csr: "AAAA",
  },
  { token: "a.b.c", proof: { platform: "gcp", token: "a.b.c" }, nonce: "A".repeat(43), csr: "AAAA" },
  { token: null, proof: { platform: "azure", document: "AAAA", token: "a.b.c" }, nonce: "A".repeat(43), csr: "AAAA" },
].map((request) => bytesOf(JSON.stringify(request)));

function request(input: Uint8Array): string {
  const value = jsonOf(textOf(input));
  const read = EnrolRequest.safeParse(value);
  if (!read.success) return "refused";
  must((read.data.proof === null) === (read.data.nonce === null), "a proof without a nonce");
  must(read.data.token !== null || read.data.proof !== null, "neither a token nor a proof");
  return "taken";
}
function requestBytes(random: Random, sample: Uint8Array): Uint8Array {
  const value = random.chance(4) ? undefined : jsonOf(textOf(sample));
  return value === undefined
    ? mutateBytes(random, sample, REQUESTS, 70_000)
    : bytesOf(JSON.stringify(mutateJson(random, value)));
}

const DOCUMENT = new Uint8Array(Buffer.from(vector.document, "base64"));
function document(input: Uint8Array): string {
  const read = readDocument(input);
  if (typeof read === "string") return read;
  must(
    read.nonce.length <= 64 && Number.isFinite(read.createdMs),
    "a document with an endless nonce or without a time",
  );
  return Buffer.compare(input, DOCUMENT) === 0 ? "taken" : "taken, in other words";
}
function documentBytes(random: Random, sample: Uint8Array): Uint8Array {
  return random.chance(3) ? mutateBytes(random, sample, [DOCUMENT], 20_000) : mutateDer(random, sample);
}

/** Made anew in each run, so that no private key lies here: what is drawn does not depend on it, and a run is said again by its seed. */
const PAIR = generateKeyPairSync("rsa", { modulusLength: 2048 });
const { n = "", e = "" } = PAIR.publicKey.export({ format: "jwk" });
const KEYS = {
  find: async (kid: string) => (kid === "k" ? { kid, n: String(n), e: String(e), issuer: null } : null),
};
const NOW = 1000;
const base64url = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");
function platformToken(header: string, payload: string): Uint8Array {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return bytesOf(`${signed}.${base64url(sign("sha256", Buffer.from(signed), PAIR.privateKey))}`);
}
const CLAIMS = { iss: "https://accounts.google.com", aud: "https://reeve/00", iat: 900, nbf: 900, exp: 1100, sub: "1" };
const HEADER = JSON.stringify({ alg: "RS256", kid: "k", typ: "JWT" });
const TOKENS = [platformToken(HEADER, JSON.stringify(CLAIMS))];

async function platform(input: Uint8Array): Promise<string> {
  const read = await readPlatformToken(textOf(input), KEYS, NOW);
  if ("invalid" in read) return read.invalid;
  must(!("unreachable" in read), "a key that was at hand was not reached");
  return "taken";
}
function tokenBytes(random: Random, sample: Uint8Array): Uint8Array {
  if (random.chance(3)) return mutateBytes(random, sample, TOKENS, 20_000);
  return random.chance(4)
    ? platformToken(textOf(mutateBytes(random, bytesOf(HEADER), [], 200)), JSON.stringify(CLAIMS))
    : platformToken(HEADER, JSON.stringify(mutateJson(random, CLAIMS)));
}

export const PROVEN: readonly Parser[] = [
  { name: "enrol-request", maxBytes: 80_000, corpus: REQUESTS, mutate: requestBytes, hold: request },
  { name: "azure-document", maxBytes: 20_000, corpus: [DOCUMENT], mutate: documentBytes, hold: document },
  { name: "platform-token", maxBytes: 20_000, corpus: TOKENS, mutate: tokenBytes, hold: platform },
];
