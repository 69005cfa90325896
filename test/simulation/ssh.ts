import { generateKeyPairSync, hash, sign } from "node:crypto";
import { APPROVAL_NAMESPACE, type Approvable, approvalMessage } from "../../agent/wire/approval.ts";
import { armored, HEAD, packed } from "../wire/sshWorld.ts";
import { CLUSTER } from "./plane.ts";

/** One of the policy's people, with a key on their own computer. The form is OpenSSH's PROTOCOL.sshsig; test/wire holds it to ssh-keygen. */
export type Signatory = { readonly key: string; approve(what: Approvable): string };

export function signatory(): Signatory {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const blob = packed("ssh-ed25519", publicKey.export({ type: "spki", format: "der" }).subarray(-32));
  return {
    key: `ssh-ed25519 ${blob.toString("base64")}`,
    approve(what) {
      const digest = hash("sha512", approvalMessage(CLUSTER, what), "buffer");
      const message = Buffer.concat([Buffer.from("SSHSIG"), packed(APPROVAL_NAMESPACE, "", "sha512", digest)]);
      const signature = packed("ssh-ed25519", sign(null, message, privateKey));
      return `${armored(Buffer.concat([HEAD, packed(blob, APPROVAL_NAMESPACE, "", "sha512", signature)]))}\n`;
    },
  };
}
