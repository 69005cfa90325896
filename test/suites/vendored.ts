import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** What lies in vendor/, by name: the SHA-256 of the JSON inside. SOURCES.md says where each is from, and under which licence. */
const VENDORED = {
  "cctv-ed25519": "69b220be9894a4627fe7768f3c74094d7d9b161b670a21302533d5b2af3da213",
  jcs: "ac88a0bbba7d5a4cf01176343c1e886e5d433b63b2979cab3e7ad5c65ea2b1a6",
  "json-test-suite": "3e9f0d8a984b1c0725c2ccccb92f64f802d87ce39a006694b5a40c7597b8deec",
  merkle: "c1ce0715495ab1f7bb85899606bffc451c2966a04f54c18feb56c0a38525f4f4",
  "tz-2025b": "50a32ce7d0dcf9e60d4ce54da390d648d20f979ece079a6719ca8609b005f422",
  "wycheproof-ecdsa_secp256r1_sha256": "6c474e775bf0b10ffd5a23e45c5ad362eebccb99e265222391a169ddbf20d6ab",
  "wycheproof-ecdsa_secp256r1_sha256_p1363": "818f2f934153f59121a1ee96a7800828a640ec72422d43c06e8f263ccd46333c",
  "wycheproof-ed25519": "4300efa55194e0e24fb488028c327dc993f5d890e0d050362e5c226f5eecc774",
  "wycheproof-json_web_signature": "03011f3d50cb81e93486a67b739b47e6a0b1a3309151c4f7a39214f7b80a97c3",
  "x509-limbo": "a0f08620053cb67a74ad2ba5d770f89dc6abb313a795e8e2825bb2ca22d268b7",
} as const;

/** A suite's cases, as `T` says that they look. Throws when the file is not the one that SOURCES.md names. */
export function vendored<T>(name: keyof typeof VENDORED): T {
  const bytes = gunzipSync(readFileSync(join(import.meta.dirname, "vendor", `${name}.json.gz`)));
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (digest !== VENDORED[name]) throw new Error(`vendor/${name}.json.gz is another one: ${digest}`);
  return JSON.parse(bytes.toString("utf8")) as T;
}
