import type { KeyObject } from "node:crypto";
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { type Proof, proofBinding } from "../../agent/wire/proof.ts";
import { version } from "../../package.json";
import { awsProvider } from "../../providers/aws/aws.ts";
import { SETTING } from "../aws/fixture.ts";
import type { World as Cloud } from "../aws/world/world.ts";
import { type Answer, CLUSTER, call, type Key, makeCsr, makeKey } from "../control/client.ts";
import { sha256 } from "../identity/plane.ts";

/** Whoever speaks to a control plane's enrolment listener, honestly or not. */
export type Caller = {
  readonly enrol: string;
  readonly rootPem: string;
  /** SHA-256 of the root, which an honest proof binds. */
  readonly pin: Uint8Array;
};
export type Bind = { readonly pin?: Uint8Array; readonly cluster?: string; readonly key?: Key };

export function callerOf(enrol: string, rootFile: string): Caller {
  const rootPem = readFileSync(rootFile, "utf8");
  const der = Buffer.from(rootPem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  return { enrol, rootPem, pin: Buffer.from(sha256(der), "hex") };
}

export async function nonceOf({ enrol, rootPem }: Caller): Promise<string> {
  return String((await call(enrol, "/v1/nonce", undefined, { ca: rootPem })).body["nonce"]);
}

export function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }));
}

/** What an honest agent's proof binds; `bind`: otherwise than that. */
export function bindingOf(caller: Caller, nonce: string, key: Key, bind: Bind = {}): Uint8Array {
  return proofBinding({
    nonce: Buffer.from(nonce, "base64url"),
    pin: bind.pin ?? caller.pin,
    cluster: bind.cluster ?? CLUSTER,
    spki: spkiOf((bind.key ?? key).key),
  });
}

/** The agent's own provider on this account, with the role that its machine has now. */
export async function proverOf(
  cloud: Cloud,
): Promise<(binding: Uint8Array) => Promise<Extract<Proof, { platform: "aws" }>>> {
  const { account, region, endpoints, switches } = cloud;
  const config = AwsConfig.parse({ account, role: switches.role, region, partition: "aws", endpoints });
  const { prove } = await awsProvider({ ...SETTING, version }, config);
  return async (binding) => {
    const proof = await prove?.(binding);
    if (proof === undefined || "unreachable" in proof || proof.platform !== "aws")
      throw new Error(JSON.stringify(proof));
    return proof;
  };
}

export async function ask(
  { enrol, rootPem }: Caller,
  body: { token?: string | null; proof?: unknown; nonce?: string | null; key: Key },
): Promise<Answer> {
  const { key, token = null, proof = null, nonce = null } = body;
  return call(enrol, "/v1/enroll", { token, proof, nonce, csr: await makeCsr(key) }, { ca: rootPem });
}

/** An enrolment as an honest agent makes it. `bind`: what its proof binds otherwise. */
export async function enrolBy(
  caller: Caller,
  cloud: Cloud,
  how: {
    token?: string;
    key?: Key;
    bind?: Bind;
    change?: (proof: Extract<Proof, { platform: "aws" }>) => unknown;
  } = {},
): Promise<Answer> {
  const key = how.key ?? (await makeKey());
  const nonce = await nonceOf(caller);
  const prove = await proverOf(cloud);
  const proof = await prove(bindingOf(caller, nonce, key, how.bind));
  return ask(caller, { token: how.token ?? null, proof: how.change?.(proof) ?? proof, nonce, key });
}
