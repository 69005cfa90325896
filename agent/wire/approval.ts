import { CommandId } from "./names.ts";

/**
 * What a person signs by `ssh-keygen -Y sign -n reeve-approval` (OpenSSH PROTOCOL.sshsig), and where the signature goes:
 * `approvals/ID.sig` of the owner's folder, or `approvals/ID.PERSON.sig`, so that two people never write over each other.
 */
export const APPROVAL_NAMESPACE = "reeve-approval";

/** What can wait for people. `digest`: `sha256:` of the signed command, of the trust statement, of the fencing. */
export type Approvable =
  | { readonly kind: "command"; readonly id: string; readonly digest: string }
  | { readonly kind: "trust"; readonly version: number; readonly digest: string }
  | { readonly kind: "fencing"; readonly epoch: number; readonly digest: string };

/** How it is named on a command line and in a file's name: a command's id, `trust-2`, `fencing-3`. */
export function approvalId(what: Approvable): string {
  switch (what.kind) {
    case "command":
      return what.id;
    case "trust":
      return `trust-${what.version}`;
    case "fencing":
      return `fencing-${what.epoch}`;
  }
}

/** Whether a text is such a name, and of what kind; null when it is none. */
export function kindOfApprovalId(text: string): Approvable["kind"] | null {
  if (CommandId.safeParse(text).success) return "command";
  const match = /^(trust|fencing)-[1-9]\d{0,8}$/.exec(text);
  return match === null ? null : (match[1] as "trust" | "fencing");
}

/**
 * The bytes that are signed: four lines, each ended by a line feed. A command's digest is over its JWS, which names agent, epoch, id
 * and arguments; the cluster stands here for the eye, and for what has no such claims.
 */
export function approvalMessage(cluster: string, what: Approvable): Uint8Array {
  return Buffer.from(`reeve approval\ncluster ${cluster}\n${what.kind} ${approvalId(what)}\n${what.digest}\n`);
}
